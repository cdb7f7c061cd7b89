"""The 28 labels of GoEmotions as emotions on the eight axes.

The labels are of Demszky et al., "GoEmotions: A Dataset of Fine-Grained Emotions" (2020), in the order of their
numbers. The values are our interpretation of the definitions there: the emotion of a typical text with only this label.
"""

_LABELS: dict[str, dict[str, float]] = {
    "admiration": {"acceptance": 0.6, "trust": 0.4},
    "amusement": {"joy": 0.7},
    "anger": {"anger": 0.9},
    "annoyance": {"anger": 0.5},
    "approval": {"acceptance": 0.6},
    "caring": {"empathy": 0.8},
    "confusion": {"surprise": 0.4},
    "curiosity": {"interest": 0.8},
    "desire": {"interest": 0.6, "expectation": 0.4},
    "disappointment": {"sadness": 0.6},
    "disapproval": {"disgust": 0.4, "distrust": 0.3},
    "disgust": {"disgust": 0.9},
    "embarrassment": {"fear": 0.4, "sadness": 0.2},
    "excitement": {"joy": 0.8, "interest": 0.6},
    "fear": {"fear": 0.9},
    "gratitude": {"joy": 0.5, "trust": 0.5},
    "grief": {"sadness": 1.0},
    "joy": {"joy": 0.9},
    "love": {"joy": 0.6, "empathy": 0.7},
    "nervousness": {"fear": 0.6},
    "optimism": {"expectation": 0.6, "courage": 0.4},
    "pride": {"joy": 0.5, "courage": 0.6},
    "realization": {"surprise": 0.5},
    "relief": {"calmness": 0.7, "joy": 0.3},
    "remorse": {"sadness": 0.7, "empathy": 0.3},
    "sadness": {"sadness": 0.8},
    "surprise": {"surprise": 0.9},
    "neutral": {},
}

GOEMOTIONS: dict[str, object] = {
    "text": "text",
    "label": "labels",
    "separator": ",",
    "labels": _LABELS,
    "prompt": "Write a comment as you would post it online.",
}
