"""Word-level tokenizers in the plain Hugging Face format."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from training.words import BOS, UNKNOWN


def word_tokenizer(words: Sequence[str]) -> Tokenizer:
    """Return a tokenizer with one token a word; ids are positions in ``words``.

    Punctuation stands alone whether or not a space precedes it, and digits are
    read in pairs, so that ``1732`` gives ``17`` and ``32``. ``<bos>`` is put
    first. Decoding puts no space before a comma or a full stop.
    """
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Split(Regex(r"\d{2}"), "isolated"),
        ]
    )
    tokenizer.add_special_tokens([BOS, UNKNOWN])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, words.index(BOS))]
    )
    # Only its clean-up of spaces before punctuation is used: no word has this prefix.
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return tokenizer


def save_tokenizer(words: Sequence[str], folder: Path, context: int) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` into a model folder."""
    word_tokenizer(words).save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "unk_token": UNKNOWN,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(config, indent=2)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
