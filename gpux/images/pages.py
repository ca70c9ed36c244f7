"""A page as Donut lays it out: upright, as large as fits, in the middle of a sheet; two resizes, as its processor does them.

Source: ``image_processing_donut.py`` of transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.fields import Fields
from gpux.images import figures, sizing
from gpux.images.sizing import Size

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Page:
    """How a page is laid out.

    Attributes:
        size: Height and width of the sheet.
        resizes: Whether its shorter edge becomes the sheet's first.
        turns: Whether a page that lies is turned upright, or the other way, as the sheet is.
        shrinks: Whether it is made to fit the sheet then.
        pads: Whether the rest of the sheet is black.
    """

    size: Size
    resizes: bool
    turns: bool
    shrinks: bool
    pads: bool

    @classmethod
    def read(cls, fields: Fields) -> Page:
        """The layout of a processor's settings.

        Raises:
            UnsupportedModel: ``size`` is none.
        """
        size = figures.both(fields, "size")
        if isinstance(fields.data.get("size"), list):  # width first, in files of old
            size = size[1], size[0]
        flags = ("do_resize", "do_align_long_axis", "do_thumbnail", "do_pad")
        resizes, turns, shrinks, pads = (bool(fields.flag(name)) for name in flags)
        return cls(size, resizes, turns, shrinks, pads)

    @property
    def fixed(self) -> Size | None:
        """The size of every page, where the sheet is filled up."""
        return self.size if self.pads else None

    def laid(self, image: Image, *, resample: int) -> Image:
        """A page on its sheet."""
        tall, wide = self.size
        if self.turns and (
            (wide < tall and image.width > image.height) or (wide > tall and image.width < image.height)
        ):
            image = image.rotate(-90, expand=True)
        if self.resizes:
            height, width = sizing.shortest(image.height, image.width, edge=min(self.size))
            image = image.resize((width, height), resample=resample)
        if self.shrinks:
            image = self._shrunk(image, resample)
        if not self.pads:
            return image
        left, top = (wide - image.width) // 2, (tall - image.height) // 2
        return image.crop((-left, -top, wide - left, tall - top))

    def _shrunk(self, image: Image, resample: int) -> Image:
        height, width = min(image.height, self.size[0]), min(image.width, self.size[1])
        if (height, width) == (image.height, image.width):
            return image
        if image.height > image.width:
            width = int(image.width * height / image.height)
        elif image.width > image.height:
            height = int(image.height * width / image.width)
        return image.resize((max(1, width), max(1, height)), resample=resample)
