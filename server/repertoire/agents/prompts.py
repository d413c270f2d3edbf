"""Prompts: writes an agent's options as the instructions of its model, and a message as the model's text. Used by `agent_run` and `team`."""

from __future__ import annotations

import inspect
import json
import string
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from ..authoring import durable
from ..classes.response import plain_value
from ..text import well_formed


def system_text(agent: Any, state: Mapping[str, Any], more: Sequence[str] = ()) -> str | None:
    """The instructions. `more` are sections that others add: of toolkits, and of a team's members. None: there are none."""
    if agent.system_message is not None:
        return _text_of(agent.system_message, agent)
    if agent.create_default_system_message is False:
        return None
    sections = [
        _text_of(agent.description, agent),
        _section("your_goal", _text_of(agent.goal, agent)),
        _section("your_role", _text_of(agent.role, agent)),
        _section("success_criteria", _text_of(agent.success_criteria, agent)),
        _section("instructions", _list(_lines(agent.instructions, agent) + _lines(agent.guidelines, agent))),
        _section("additional_information", _list(_information(agent))),
        _section("expected_output", _text_of(agent.expected_output, agent)),
        _text_of(agent.additional_context, agent),
        *more,
    ]
    text = "\n\n".join(one for one in sections if one)
    if agent.add_state_in_messages and text:
        text = _WithState().vformat(text, (), state)
    return text or None


_NO_MESSAGE: Final = "Do what your instructions say."
"""The message of `agent.run()` without one, for an agent whose instructions are the whole task."""


def user_text(agent: Any, message: Any) -> str:
    """The message as text. With `add_context`, the context follows it."""
    if message is None:
        message = agent.user_message() if callable(agent.user_message) else agent.user_message
    if message is None and (agent.instructions or agent.description or agent.system_message):
        message = _NO_MESSAGE
    text = message_text(message)
    if agent.add_context and agent.context:
        context = {name: value() if callable(value) else value for name, value in agent.context.items()}
        text += f"\n\n<context>\n{_json(context)}\n</context>"
    return text


def message_text(message: Any) -> str:
    """The text of a message: a text itself, a message with `content`, anything else as JSON. Raises TypeError for none at all."""
    if message is None:
        raise TypeError("agent.run(message): there is no message")
    if isinstance(message, str):
        text = message
    elif isinstance(message, Mapping) and "content" in message and "role" in message:
        return message_text(message["content"])
    elif hasattr(message, "content") and hasattr(message, "role"):
        return message_text(message.content)
    elif isinstance(message, Sequence) and message and all(isinstance(one, str) for one in message):
        text = "\n".join(message)
    else:
        text = _json(message)
    return well_formed(text)  # half of a surrogate pair cannot be sent


def _information(agent: Any) -> list[str]:
    found = []
    if agent.markdown and agent.response_model is None:
        found.append("Use markdown to format your answers.")
    if agent.add_datetime_to_instructions:
        zone = ZoneInfo(agent.timezone_identifier) if agent.timezone_identifier else None
        time = durable.now().astimezone(zone) if zone else durable.now()
        found.append(f"The current time is {time:%Y-%m-%d %H:%M:%S %Z}.")
    if agent.add_name_to_instructions and agent.name:
        found.append(f"Your name is: {agent.name}.")
    return found


def _lines(given: Any, agent: Any) -> list[str]:
    given = _value_of(given, agent)
    if given is None or given == "":
        return []
    if isinstance(given, str):
        return [given]
    return [str(one) for one in given]


def _list(lines: list[str]) -> str:
    return lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)


def _text_of(given: Any, agent: Any) -> str:
    given = _value_of(given, agent)
    return "" if given is None else given if isinstance(given, str) else message_text(given)


def _value_of(given: Any, agent: Any) -> Any:
    """The value of an option, which may be a function of nothing or of the agent."""
    if not callable(given):
        return given
    return given(agent) if inspect.signature(given).parameters else given()


def _section(name: str, text: str) -> str:
    return f"<{name}>\n{text.strip()}\n</{name}>" if text.strip() else ""


def _json(value: Any) -> str:
    return json.dumps(plain_value(value), indent=2, ensure_ascii=False)


class _WithState(string.Formatter):
    """Puts values of the session's state in place of `{name}`. Other braces stay as they are."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        return kwargs[key]  # type: ignore[index]  # a text: `{0}` is handled in vformat

    def vformat(self, format_string: str, args: Any, kwargs: Mapping[str, Any]) -> str:
        pieces = []
        try:
            parsed = list(self.parse(format_string))
        except ValueError:  # lone braces: no template
            return format_string
        for literal, name, spec, conversion in parsed:
            pieces.append(literal)
            if name is None:
                continue
            known = name in kwargs and not spec and not conversion
            rest = f"{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
            pieces.append(str(kwargs[name]) if known else f"{{{name}{rest}}}")
        return "".join(pieces)
