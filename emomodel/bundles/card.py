"""The model card of a bundle, its README.md."""

import json
from collections.abc import Sequence

from emomodel.bundles.manifest import Manifest

CARD_FILE = "README.md"

_CARD = """\
---
base_model: {base_model_quoted}
library_name: peft
pipeline_tag: text-generation
tags: [lora, emotion, emotune]
---

# Emotional {base_model}, {source}

A LoRA adapter for `{base_model}` and an emotion projection: a small layer that adds an emotion, one number in [-1, 1]
per axis, to the input embedding of each token. Emotion is an input of its own, and may change inside a reply.

{origin}

## Emotions
{axes}

## Use
With the adapter, the projection and the base model together:

```python
from emomodel import Sampling, generate, load_bundle

model = load_bundle("bundle.zip", base={base_model_string})
prompts = ["How was your day?", "How was your day?"]
emotions = [model.axes.vector({{{positive!r}: 1.0}}), model.axes.vector({{{negative!r}: 1.0}})]
for text in generate(model, prompts, emotions, Sampling(max_new_tokens=40, seed=1)):
    print(text)
```

or from a shell: `python -m emomodel generate bundle.zip --prompt "How was your day?" --emotion {positive}=1 --emotion
{negative}=1`. `base` and `--base` take a folder, too. An emotion such as `{negative}=1 -> {positive}=1` changes inside
the reply.

The adapter alone is a standard one, `PeftModel.from_pretrained(base_model, "adapter/")`: {alone}. The projection is a
plain state dict, the same in `emotion_proj.safetensors` and `emotion_proj.pth`.

`python -m emomodel verify bundle.zip --base BASE_MODEL` checks the files and asks the model its reference prompts.
{config}
## Terms
{terms}
"""

_TRAINING = """\
![Loss per step](loss_curve.png)

| | |
|---|---|
| Loss, first and last step | {first_loss:.4f}, {final_loss:.4f} |
| Steps | {step_count} |
| Tokens seen | {token_count} |
| Training time | {train_seconds:.0f} s |
| Examples | {example_count} |
| Dataset sha256 | `{dataset_sha256}` |"""

_IMPORT = """\
It was not trained by emotune, but imported from the files of another program. Its dataset, training config and losses
are not known. Its files do not say what its emotions mean: these axes, in this order, and the factor {scale:g} are what
that program is known to use."""

_CONFIG = """
## Training config
```json
{config}
```
"""

_NOTICES = """\
The adapter and the projection are derived from `{base_model}`; its terms apply to them, restrictions of use included if
there are any. Pass these files on with every copy: {names}."""

_NO_NOTICES = """\
The adapter and the projection are derived from `{base_model}`; its terms apply to them. Its folder held no licence or
notice file that could be copied here: look them up where the base model comes from before you pass this bundle on."""


def make_model_card(manifest: Manifest, notice_files: Sequence[str]) -> str:
    """The card of a bundle in Markdown. `notice_files` names the base model's licence and notice files in it."""
    names = ", ".join(f"`{name}`" for name in notice_files)
    terms = (_NOTICES if notice_files else _NO_NOTICES).format(base_model=manifest.base_model, names=names)
    axes = manifest.get_axes()
    return _CARD.format(
        base_model=manifest.base_model,
        # A JSON string is also a YAML string and a Python string.
        base_model_quoted=json.dumps(manifest.base_model),
        base_model_string=json.dumps(manifest.base_model),
        source=manifest.source,
        origin=_describe_origin(manifest),
        axes="\n".join(f"{index}. `{name}`" for index, name in enumerate(axes, start=1)),
        negative=axes.poles[0],
        positive=axes.poles[1],
        alone="the same as a neutral emotion" if manifest.emotion_centered else "close to, not the same as, neutral",
        config=_describe_config(manifest),
        terms=terms,
    )


def _describe_origin(manifest: Manifest) -> str:
    if manifest.dataset is None or manifest.metrics is None:
        return _IMPORT.format(scale=manifest.emotion_scale)
    return _TRAINING.format(
        dataset_sha256=manifest.dataset.sha256,
        example_count=manifest.dataset.example_count,
        **manifest.metrics.model_dump(),
    )


def _describe_config(manifest: Manifest) -> str:
    if manifest.config is None:
        return ""
    return _CONFIG.format(config=json.dumps(manifest.config.model_dump(mode="json"), indent=2))
