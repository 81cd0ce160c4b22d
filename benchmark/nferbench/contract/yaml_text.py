"""YAML that people write: presets, settings, the file beside a manifest."""

from __future__ import annotations

from typing import Any

import yaml


def loaded(text: str) -> Any:
    """What a text says, in plain values; None for an empty one.

    Raises:
        yaml.YAMLError: it is no YAML, or says what there is not, such as a 13th month or a number of letters; the
            parser has errors of many types for that.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise
    except Exception as error:
        raise yaml.YAMLError(str(error) or type(error).__name__) from None
