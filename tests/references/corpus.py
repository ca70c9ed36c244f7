"""More than 200 texts of every kind that users send, and pairs of them; the same ones in every run."""

# ruff: noqa: RUF001 - letters that look like others are what these texts are for
from __future__ import annotations

import random

_WORDS = (
    "the of and a to in is you that it he was for on are as with his they I at be this have from or one had by word but "
    "not what all were we when your can said there use an each which she do how their if will up other about out many "
    "then them these so some her would make like him into time has look two more write go see number no way could people "
    "glacier reset password invoice parcel embedding quarterly revenue astonishing photosynthesis electroencephalography"
)

EDGES = (
    "",
    " ",
    "a",
    "?",
    "7",
    "é",
    "\n",
    "\t\t",
    "\u0000",
    "before\u0000after",
    "bell \u0007 and escape \u001b[31m red",
    "delete \u007f next line \u0085 no-break\u00a0space",
    "soft\u00adhyphen zero\u200bwidth joiner\u200d non-joiner\u200c",
    "line one\nline two\r\nline three\rline four",
    "\ufeffbyte order mark",
    "replacement \ufffd character",
    "private \ue000 use",
    "😀",
    "👩\u200d👩\u200d👧\u200d👦 family, 👍🏽 skin tone, 🇩🇪 flag, 1️⃣ keycap",
    "great product 🔥🔥🔥 10/10 💯",
    "e\u0301 is not é, n\u0303 is not ñ",
    "Z\u0351\u036b\u0343a\u0310\u0352l\u0321g\u0321o\u031b",
    "ﬁne ﬂow ½ ℃ Ⅷ ﷺ",
    "İstanbul ıssız ẞtraße ſharp",
    "مرحبا بالعالم، كيف حالك اليوم؟",
    "שלום עולם, מה שלומך?",
    "\u202eright to left override\u202c",
    "mixed עברית and English و عربي",
    "今日はとても良い天気ですね。",
    "我喜欢在周末去公园散步，看书，喝咖啡。",
    "안녕하세요, 만나서 반갑습니다.",
    "カタカナ ｶﾀｶﾅ ひらがな 漢字",
    "𠜎𠜱𠝹 rare ideographs",
    "สวัสดีชาวโลก",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "Привет, как дела? Ёлка и подъезд.",
    "Καλημέρα κόσμε",
    "Xin chào thế giới, tiếng Việt có dấu",
    "𝕳𝖊𝖑𝖑𝖔 𝓌𝑜𝓇𝓁𝒹",
    "[CLS] not a token [SEP] but looks like one [MASK] [PAD] [UNK]",
    "[cls][sep]",
    "##ing ##ed",
    "<script>alert('x')</script>",
    "SELECT * FROM users WHERE name = 'Robert''); DROP TABLE students;--'",
    "def f(x):\n    return x ** 2  # square",
    "https://example.org/a/b?c=d&e=%20f#g mail@example.org",
    "C:\\Users\\name\\file.txt /usr/local/bin ~/.bashrc",
    "1,234,567.89 € −5 ±0.1 3×4=12 ∑∫√∞",
    "ALL CAPITALS SHOUTING!!!",
    "don't can't won't it's rock'n'roll",
    "..........!!!!!!!!!!??????????",
    "-" * 300,
    "supercalifragilisticexpialidocious" * 8,
    "a" * 10_000,
    "lorem ipsum dolor sit amet " * 370 + "the end.",
    "漢字" * 5_000,
    "ok " * 600,
)


def texts() -> list[str]:
    """The edges, and random prose of 1 to 300 words with a long tail."""
    source = random.Random(20261122)
    prose = []
    for _ in range(180):
        count = min(300, max(1, int(source.lognormvariate(2.9, 0.9))))
        words = source.choices(_WORDS.split(), k=count)
        prose.append(" ".join(words).capitalize() + source.choice([".", "!", "?", "", " …"]))
    return [*EDGES, *prose]


def pairs() -> list[dict[str, str]]:
    """Pairs short and long on either side, some far over any limit."""
    source = random.Random(7)
    first, second = texts(), texts()
    source.shuffle(second)
    return [{"text": a, "text_pair": b} for a, b in zip(first, second, strict=True)][:120]
