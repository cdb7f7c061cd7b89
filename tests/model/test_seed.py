"""The statements of docs/seed.md about the original project's hints that no other test shows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from transformers import AutoTokenizer, Gemma3ForCausalLM, Trainer, TrainingArguments
from transformers.modeling_layers import GradientCheckpointingLayer

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.config import EmotionInit, make_config
from emomodel.data.drafts import Span
from emomodel.data.examples import Example, Turn
from emomodel.emotions import DEFAULT_AXES
from emomodel.model.loading import LoadedBaseModel, load_base_model
from emomodel.model.prepare import EmotionalModel, make_emotional_model
from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.protocol.control import RunRequests
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import IGNORED_LABEL, make_sample
from emomodel.training.sample_loading import load_samples
from emomodel.training.train import run_training
from tests.model.tiny_training import TINY_CONFIG, ListReporter, make_request

pytestmark = pytest.mark.model

NEUTRAL = DEFAULT_AXES.neutral
JOY = DEFAULT_AXES.vector({"joy": 1.0})
# The hidden size of Gemma 3 270M, and the norm of its token embeddings.
HIDDEN_SIZE_270M = 640
EMBEDDING_NORM_270M = 26.0


@pytest.fixture
def base(tiny_gemma: Path) -> LoadedBaseModel:
    return load_base_model(str(tiny_gemma), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)


@pytest.fixture
def model(base: LoadedBaseModel) -> EmotionalModel:
    return make_emotional_model(base, make_config("default", TINY_CONFIG), len(DEFAULT_AXES))


def hidden_features(init: EmotionInit, *intensities: float) -> Tensor:
    """The input of a projection's last layer for joy of each intensity, less its input for neutral."""
    torch.manual_seed(0)
    before_last = make_projection(len(DEFAULT_AXES), HIDDEN_SIZE_270M, init)[:-1]
    joys = torch.tensor([DEFAULT_AXES.vector({"joy": intensity}) for intensity in intensities])
    features: Tensor = before_last(joys) - before_last(torch.tensor(NEUTRAL))
    return features


def test_layer_norm_behind_a_layer_without_bias_makes_faint_joy_as_strong_as_full_joy() -> None:
    full, faint = hidden_features("xavier", 1.0, 0.1)
    assert faint.norm() / full.norm() > 0.9
    assert torch.cosine_similarity(full, faint, dim=0) > 0.999
    full, faint = hidden_features("zero_last", 1.0, 0.1)
    assert faint.norm() / full.norm() < 0.2


@pytest.mark.parametrize(("init", "is_too_strong"), [("xavier", True), ("zero_last", False)])
def test_offset_at_the_start_is_larger_than_an_embedding_or_nothing(
    base: LoadedBaseModel, init: EmotionInit, is_too_strong: bool
) -> None:
    torch.manual_seed(0)
    projection = make_projection(len(DEFAULT_AXES), HIDDEN_SIZE_270M, init)
    scale = make_config("original").emotion_scale
    wrapper = EmotionalGemmaUnslothWrapper(base.model, projection, scale=scale, centered=False)
    norm = wrapper.offset(torch.tensor(JOY)).norm().item()
    assert norm > EMBEDDING_NORM_270M if is_too_strong else norm == 0


class GemmaWithProjection(Gemma3ForCausalLM):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    """A model whose class contains the projection and initialises each of its weights with 7."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.emotion_proj_embed = make_projection(len(DEFAULT_AXES), config.hidden_size, "xavier")
        for layer in (self.emotion_proj_embed[0], self.emotion_proj_embed[-1]):
            assert isinstance(layer, nn.Linear)
            nn.init.constant_(layer.weight, 7.0)
        self.post_init()  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def test_a_layer_inside_the_models_class_loses_its_own_initialisation(tiny_gemma: Path) -> None:
    """transformers initialises the weights that a checkpoint lacks by the rule of the architecture."""
    loaded = GemmaWithProjection.from_pretrained(tiny_gemma)
    for layer in (loaded.emotion_proj_embed[0], loaded.emotion_proj_embed[-1]):
        assert isinstance(layer, nn.Linear)
        assert layer.weight.std().item() == pytest.approx(loaded.config.initializer_range, rel=0.2)


def test_the_wrappers_layer_keeps_its_initialisation(base: LoadedBaseModel) -> None:
    model = make_emotional_model(base, make_config("original", TINY_CONFIG), len(DEFAULT_AXES))
    for layer in (model.wrapper.emotion_proj_embed[0], model.wrapper.emotion_proj_embed[-1]):
        assert isinstance(layer, nn.Linear)
        # Xavier-uniform weights are within a bound, and some are close to it.
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert bound * 0.95 < layer.weight.abs().max().item() <= bound
        assert layer.bias.abs().max().item() == 0


def test_the_trainer_drops_the_emotion_unless_it_keeps_unknown_columns(
    tmp_path: Path, base: LoadedBaseModel, model: EmotionalModel
) -> None:
    request = make_request(tmp_path, tmp_path)
    samples = load_samples(request, base, DEFAULT_AXES, ListReporter()).training.samples

    def first_batch(*, remove_unused_columns: bool) -> Any:
        arguments = TrainingArguments(
            str(tmp_path / "scratch"), remove_unused_columns=remove_unused_columns, report_to=[], use_cpu=True
        )
        collator = DataCollatorForEmotionalGemma(base.tokenizer.pad_token_id, len(DEFAULT_AXES))
        trainer = Trainer(model=model.peft_model, args=arguments, data_collator=collator, train_dataset=samples)
        return next(iter(trainer.get_train_dataloader()))

    assert "emotion_vector" in first_batch(remove_unused_columns=False)
    with pytest.raises(KeyError):
        first_batch(remove_unused_columns=True)


def test_the_layer_is_reached_through_peft_as_in_the_original(model: EmotionalModel) -> None:
    assert model.peft_model.base_model.emotion_proj_embed is model.wrapper.emotion_proj_embed


def test_what_peft_saves_by_itself_holds_no_emotion_layer_and_a_model_too_many(
    tmp_path: Path, model: EmotionalModel
) -> None:
    model.peft_model.save_pretrained(str(tmp_path))
    keys = load_file(tmp_path / "adapter_model.safetensors").keys()
    assert [key for key in keys if "emotion_proj" in key] == []
    assert all(key.startswith("base_model.model.model.model.layers.") for key in keys)


@pytest.mark.parametrize("is_on", [False, True])
def test_gradient_checkpointing_is_off_unless_asked_for(tmp_path: Path, tiny_gemma: Path, is_on: bool) -> None:
    heard: set[bool] = set()

    def listen(module: nn.Module, *_: object) -> None:
        if isinstance(module, GradientCheckpointingLayer) and module.training:
            heard.add(module.gradient_checkpointing)

    asked: dict[str, Any] = {"gradient_checkpointing": True} if is_on else {}
    handle = register_module_forward_hook(listen)
    try:
        run_training(make_request(tmp_path, tiny_gemma, max_steps=1, **asked), ListReporter(), RunRequests())
    finally:
        handle.remove()
    assert heard == {is_on}


def test_segments_tokenised_apart_are_other_tokens_than_the_whole(tiny_gemma: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    reply = "I am overjoyed, happy!"
    halfway = reply.index("joyed")
    apart = [
        token
        for part in (reply[:halfway], reply[halfway:])
        for token in tokenizer(part, add_special_tokens=False)["input_ids"]
    ]
    whole = tokenizer(reply, add_special_tokens=False)["input_ids"]
    assert apart != whole
    turns = (
        Turn("user", "Hi", NEUTRAL),
        Turn("assistant", reply, NEUTRAL, spans=(Span(halfway, len(reply), JOY),), is_target=True),
    )
    sample = make_sample(Example(1, turns), ChatFormat(tokenizer), NEUTRAL, "token")
    labels = [label for label in sample["labels"] if label != IGNORED_LABEL]
    assert labels[: len(whole)] == whole


def test_a_templated_text_gets_one_bos(tiny_gemma: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert tokenizer(text)["input_ids"].count(tokenizer.bos_token_id) == 2
    chat = ChatFormat(tokenizer).tokenise((Turn("user", "Hi", NEUTRAL),))
    assert chat.input_ids.count(tokenizer.bos_token_id) == 1


def test_every_reply_is_learnt_and_no_user_turn_between(tiny_gemma: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_gemma)
    turns = (
        Turn("user", "How was it?", NEUTRAL),
        Turn("assistant", "It was fine.", NEUTRAL, is_target=True),
        Turn("user", "And today?", NEUTRAL),
        Turn("assistant", "I am happy.", JOY, is_target=True),
    )
    sample = make_sample(Example(1, turns), ChatFormat(tokenizer), NEUTRAL, "lead")
    learnt = tokenizer.decode([label for label in sample["labels"] if label != IGNORED_LABEL])
    assert learnt == "It was fine.<end_of_turn>I am happy.<end_of_turn>"


def test_a_loss_that_ignores_num_items_in_batch_is_multiplied_by_the_accumulation(
    base: LoadedBaseModel, model: EmotionalModel
) -> None:
    """The Trainer takes the loss for the batch's part of the step's loss, and doesn't divide it."""
    ids = torch.arange(20, 32).unsqueeze(0)
    labels_of_4_batches = torch.tensor(4 * (ids.shape[1] - 1))
    alone = model.peft_model(input_ids=ids, labels=ids).loss.item()
    share = model.peft_model(input_ids=ids, labels=ids, num_items_in_batch=labels_of_4_batches).loss.item()
    assert alone == pytest.approx(4 * share)
