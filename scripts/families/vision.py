"""Image and video families."""

from __future__ import annotations

from typing import Any

from families.record import Family, labels

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_STEPS = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
_SMALL_SWIN = {"embed_dim": 24, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4]}


def processor(
    kind: str, size: Any, resample: int, colours: dict[str, list[float]], **more: Any
) -> dict[str, Any]:
    """A ``preprocessor_config.json`` with every step said."""
    return {"image_processor_type": kind, **_STEPS, "size": size, "resample": resample, **colours, **more}


def square(side: int) -> dict[str, int]:
    """A size that both sides have."""
    return {"height": side, "width": side}


def _classifier(
    name: str, title: str, like: str, architecture: str, shape: dict[str, Any], **more: Any
) -> Family:
    config = {**labels(1000), **more.pop("config", {})}
    return Family(
        name=name, title=title, like=like, task="image-classification", architecture=architecture, config=config,
        reduced=more.pop("reduced", _SMALL), exact=True, processor=shape, items="pictures", **more,
    )  # fmt: skip


# As older checkpoints have it: no size of two sides, and a name that is no image processor's.
_CONVNEXT = {
    "feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "do_normalize": True, "do_resize": True,
    "resample": 3, "size": 224, **IMAGENET,
}  # fmt: skip
_MOBILENET = processor(
    "MobileNetV1ImageProcessor", {"shortest_edge": 256}, 2, HALVES, do_center_crop=True, crop_size=square(224)
)
_RESNET_50 = {"model_type": "resnet", "out_features": ["stage4"]}
_TINY_RESNET = {
    "model_type": "resnet", "layer_type": "basic", "embedding_size": 16, "hidden_sizes": [16, 16, 24, 32],
    "depths": [1, 1, 1, 1],
}  # fmt: skip
_DETECTION = {"threshold": 0.02}

FAMILIES = (
    _classifier(
        "vit", "ViT", "google/vit-base-patch16-224", "ViTForImageClassification",
        processor("ViTImageProcessor", square(224), 2, HALVES), optimum=True,
    ),
    _classifier(
        "deit", "DeiT", "facebook/deit-tiny-distilled-patch16-224", "DeiTForImageClassificationWithTeacher",
        processor("DeiTImageProcessor", square(256), 3, IMAGENET, do_center_crop=True, crop_size=square(224)),
        config={"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768},
    ),
    _classifier(
        "swin", "Swin", "microsoft/swin-tiny-patch4-window7-224", "SwinForImageClassification",
        processor("ViTImageProcessor", square(224), 3, IMAGENET), reduced=_SMALL_SWIN,
    ),
    _classifier(
        "convnext", "ConvNeXt", "facebook/convnext-tiny-224", "ConvNextForImageClassification", _CONVNEXT,
        reduced={"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]},
    ),
    _classifier(
        "resnet-50", "ResNet-50", "microsoft/resnet-50", "ResNetForImageClassification", _CONVNEXT,
        reduced={"layer_type": "basic", "embedding_size": 16, "hidden_sizes": [16, 16, 24, 32], "depths": [1, 1, 1, 1]},
        optimum=True,
    ),
    _classifier(
        "mobilenet-v1", "MobileNet v1", "google/mobilenet_v1_1.0_224", "MobileNetV1ForImageClassification", _MOBILENET,
        config=labels(1001), reduced={"depth_multiplier": 0.25},
    ),
    _classifier(
        "mobilenet-v2", "MobileNet v2", "google/mobilenet_v2_1.0_224", "MobileNetV2ForImageClassification",
        {**_MOBILENET, "image_processor_type": "MobileNetV2ImageProcessor"}, config=labels(1001),
        reduced={"depth_multiplier": 0.35},
    ),
    Family(
        name="mobilenet-v3", title="MobileNet v3", like="timm/mobilenetv3_small_100.lamb_in1k", exact=True,
        task="image-classification", items="pictures", timm="mobilenetv3_small_100",
    ),
    Family(
        name="timm-resnet", title="ResNet (timm)", like="timm/resnet18.a1_in1k", exact=True,
        task="image-classification", items="pictures", timm="resnet18",
    ),
    _classifier(
        "efficientnet", "EfficientNet", "google/efficientnet-b0", "EfficientNetForImageClassification",
        processor(
            "EfficientNetImageProcessor", square(224), 0,
            {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.47853944, 0.4732864, 0.47434163]},
            do_center_crop=False, crop_size=square(289), include_top=True, rescale_offset=False,
        ),
        config={"image_size": 224, "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "dropout_rate": 0.2},
        reduced={"num_block_repeats": [1] * 7},
        refused={"transformers:openvino": "its last pooling has a window of 1280 on a map of 7, which OpenVINO does not take"},
    ),
    Family(
        name="dinov2", title="DINOv2", like="facebook/dinov2-small", task="image-feature-extraction", exact=True,
        architecture="Dinov2Model", items="pictures",
        config={"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14},
        reduced={"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
        processor=processor(
            "BitImageProcessor", {"shortest_edge": 256}, 3, IMAGENET, do_center_crop=True, crop_size=square(224),
            do_convert_rgb=True,
        ),
    ),
    _classifier(
        "beit", "BEiT", "microsoft/beit-base-patch16-224", "BeitForImageClassification",
        {"feature_extractor_type": "BeitFeatureExtractor", "crop_size": 224, "do_center_crop": False, "do_normalize": True,
         "do_resize": True, "resample": 2, "size": 224, **HALVES},
        config={"use_relative_position_bias": True},
    ),
    _classifier(
        "convnextv2", "ConvNeXt V2", "facebook/convnextv2-atto-1k-224", "ConvNextV2ForImageClassification",
        processor("ConvNextImageProcessor", {"shortest_edge": 224}, 3, IMAGENET, crop_pct=0.875),
        config={"hidden_sizes": [40, 80, 160, 320], "depths": [2, 2, 6, 2]}, reduced={"depths": [1, 1, 1, 1]},
    ),
    _classifier(
        "swinv2", "Swin V2", "microsoft/swinv2-tiny-patch4-window8-256", "Swinv2ForImageClassification",
        processor("ViTImageProcessor", square(256), 3, IMAGENET), config={"image_size": 256, "window_size": 8},
        reduced=_SMALL_SWIN,
    ),
    _classifier(
        "regnet", "RegNet", "facebook/regnet-y-040", "RegNetForImageClassification", _CONVNEXT,
        config={"embedding_size": 32, "hidden_sizes": [128, 192, 512, 1088], "depths": [2, 6, 12, 2], "groups_width": 64, "layer_type": "y"},
        reduced={"embedding_size": 8, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "groups_width": 8},
    ),
    _classifier(
        "mobilevit", "MobileViT", "apple/mobilevit-small", "MobileViTForImageClassification",
        {"feature_extractor_type": "MobileViTFeatureExtractor", "do_resize": True, "size": 288, "resample": 2,
         "do_center_crop": True, "crop_size": 256, "do_flip_channel_order": True},
        reduced={"hidden_sizes": [32, 32, 32], "neck_hidden_sizes": [8, 8, 16, 16, 16, 16, 32]},
    ),
    Family(
        name="detr", title="DETR", like="facebook/detr-resnet-50", task="object-detection", exact=True,
        architecture="DetrForObjectDetection", items="pictures", parameters=_DETECTION,
        config={"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None, "backbone_config": _RESNET_50, **labels(91)},
        reduced={"backbone_config": _TINY_RESNET, "encoder_layers": 1, "decoder_layers": 1, "d_model": 32,
                 "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
        processor=processor("DetrImageProcessor", {"shortest_edge": 800, "longest_edge": 1333}, 2, IMAGENET, do_pad=True, format="coco_detection"),
    ),
    Family(
        name="yolos", title="YOLOS", like="hustvl/yolos-tiny", task="object-detection", exact=True,
        architecture="YolosForObjectDetection", items="pictures", parameters=_DETECTION,
        config={"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "image_size": [800, 1333],
                "use_mid_position_embeddings": False, **labels(91)},
        reduced={**_SMALL, "image_size": [128, 192]},
        processor=processor("YolosImageProcessor", {"shortest_edge": 512, "longest_edge": 1333}, 2, IMAGENET, do_pad=True, format="coco_detection"),
    ),
    Family(
        name="rt-detr", title="RT-DETR", like="PekingU/rtdetr_r18vd", task="object-detection", exact=True,
        architecture="RTDetrForObjectDetection", items="pictures", parameters=_DETECTION,
        config={
            "backbone_config": {
                "model_type": "rt_detr_resnet", "layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512],
                "embedding_size": 64, "out_features": ["stage2", "stage3", "stage4"],
            },
            "encoder_in_channels": [128, 256, 512], "hidden_expansion": 0.5, "decoder_layers": 3, **labels(80),
        },
        reduced={"decoder_layers": 1, "num_queries": 40},
        processor=processor("RTDetrImageProcessor", square(640), 2, IMAGENET, do_normalize=False, do_pad=False),
    ),
    Family(
        name="segformer", title="SegFormer", like="nvidia/segformer-b0-finetuned-ade-512-512", task="image-segmentation",
        exact=True, architecture="SegformerForSemanticSegmentation", items="pictures", config=labels(150),
        reduced={"hidden_sizes": [16, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2], "decoder_hidden_size": 32},
        processor={"feature_extractor_type": "SegformerFeatureExtractor", "do_normalize": True, "do_resize": True,
                   "reduce_labels": True, "resample": 2, "size": 512, **IMAGENET},
    ),
    Family(
        name="mask2former", title="Mask2Former", like="facebook/mask2former-swin-tiny-coco-instance", task="image-segmentation",
        architecture="Mask2FormerForUniversalSegmentation", items="pictures", parameters={"threshold": 0.02},
        config={"backbone_config": {"model_type": "swin", "out_features": ["stage1", "stage2", "stage3", "stage4"]}, **labels(80)},
        reduced={
            "backbone_config": _SMALL_SWIN, "encoder_layers": 2, "decoder_layers": 3, "hidden_dim": 64, "feature_size": 64,
            "mask_feature_size": 64, "encoder_feedforward_dim": 128, "dim_feedforward": 128, "num_queries": 20,
        },
        processor=processor("Mask2FormerImageProcessor", square(384), 2, IMAGENET, ignore_index=255, do_reduce_labels=False, num_labels=80, size_divisor=32),
    ),
    Family(
        name="maskformer", title="MaskFormer", like="facebook/maskformer-swin-tiny-ade", task="image-segmentation",
        architecture="MaskFormerForInstanceSegmentation", items="pictures", parameters={"threshold": 0.02},
        config={"backbone_config": {"model_type": "swin", "out_features": ["stage1", "stage2", "stage3", "stage4"]}, **labels(150)},
        reduced={
            "backbone_config": _SMALL_SWIN, "fpn_feature_size": 32, "mask_feature_size": 32,
            "decoder_config": {"model_type": "detr", "d_model": 32, "decoder_layers": 1, "encoder_layers": 1, "num_queries": 20,
                               "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
        },
        processor=processor("MaskFormerImageProcessor", {"shortest_edge": 512, "longest_edge": 2048}, 2, IMAGENET, ignore_index=255, do_reduce_labels=True, num_labels=150, size_divisor=32),
    ),
    Family(
        name="dpt", title="DPT", like="Intel/dpt-large", task="depth-estimation", architecture="DPTForDepthEstimation",
        items="pictures", config={"image_size": 384, "is_hybrid": False},
        reduced={**_SMALL, "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [16, 16, 32, 32],
                 "fusion_hidden_size": 32},
        processor=processor("DPTImageProcessor", square(384), 2, HALVES, ensure_multiple_of=1, keep_aspect_ratio=False),
    ),
    Family(
        name="depth-anything", title="Depth-Anything", like="LiheYoung/depth-anything-small-hf", task="depth-estimation",
        exact=True, architecture="DepthAnythingForDepthEstimation", items="pictures",
        config={
            "backbone": None,
            "backbone_config": {
                "model_type": "dinov2", "hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14,
                "out_indices": [9, 10, 11, 12], "apply_layernorm": True, "reshape_hidden_states": False,
            },
            "reassemble_hidden_size": 384, "neck_hidden_sizes": [48, 96, 192, 384], "fusion_hidden_size": 64,
        },
        reduced={
            "backbone_config": {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]},
            "reassemble_hidden_size": 64, "neck_hidden_sizes": [16, 16, 32, 32], "fusion_hidden_size": 16,
        },
        processor=processor("DPTImageProcessor", square(518), 3, IMAGENET, ensure_multiple_of=14, keep_aspect_ratio=True, do_pad=False),
    ),
    Family(
        name="swin2sr", title="Swin2SR", like="caidas/swin2SR-classical-sr-x2-64", task="image-to-image", exact=True,
        architecture="Swin2SRForImageSuperResolution", items="small_pictures", asks="resolution",
        config={"embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6, "window_size": 8, "upscale": 2},
        reduced={"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2]},
        processor={"image_processor_type": "Swin2SRImageProcessor", "do_pad": True, "do_rescale": True, "pad_size": 8, "rescale_factor": 1 / 255},
    ),
    Family(
        name="videomae", title="VideoMAE", like="MCG-NJU/videomae-base-finetuned-kinetics", task="video-classification",
        exact=True, architecture="VideoMAEForVideoClassification", items="videos", config=labels(400), reduced=_SMALL,
        processor={"feature_extractor_type": "VideoMAEFeatureExtractor", "do_center_crop": True, "do_normalize": True,
                   "do_resize": True, "resample": 2, "size": 224, **IMAGENET},
    ),
)  # fmt: skip
