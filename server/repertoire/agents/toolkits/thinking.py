"""Thinking: `ReasoningTools` and `ThinkingTools`, which let a model write its thoughts down between its calls. Used by workflow files."""

from __future__ import annotations

from typing import Any, Final

from .toolkit import Toolkit

_INSTRUCTIONS: Final = (
    "Use `think` to write down your thoughts before you act: what is asked, what you know, what to do next. Use it as often as you need. "
    "Nobody else reads these notes."
)
_ANALYZE: Final = " Use `analyze` after a result: what it means, and whether it is enough for the answer."


class ThinkingTools(Toolkit):
    """One function, `think`.

    Args:
        think: True to give the agent the function.
        instructions: Instead of the usual ones.
        add_instructions: True to give the agent the instructions.
        options: The options of every toolkit.
    """

    def __init__(
        self, think: bool = True, instructions: str | None = None, add_instructions: bool = False, **options: Any
    ) -> None:
        said = instructions or _INSTRUCTIONS
        super().__init__("thinking_tools", [self.think] if think else [], said, add_instructions, **options)

    def think(self, thought: str) -> str:
        """Write down a thought about the task. It changes nothing; it helps to find the next step."""
        return f"Thought: {thought}"


class ReasoningTools(Toolkit):
    """Two functions, `think` and `analyze`.

    Args:
        think, analyze: True to give the agent this function.
        instructions: Instead of the usual ones.
        add_instructions: True to give the agent the instructions.
        add_few_shot, few_shot_examples: Accepted; the examples are added to the instructions.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        think: bool = True,
        analyze: bool = True,
        instructions: str | None = None,
        add_instructions: bool = False,
        add_few_shot: bool = False,
        few_shot_examples: str | None = None,
        **options: Any,
    ) -> None:
        said = (instructions or _INSTRUCTIONS + _ANALYZE) + (f"\n{few_shot_examples}" if few_shot_examples else "")
        chosen: list[Any] = [self.think] * think + [self.analyze] * analyze
        super().__init__("reasoning_tools", chosen, said, add_instructions, **options)

    def think(self, title: str, thought: str, action: str | None = None, confidence: float = 0.8) -> str:
        """Write down a thought.

        Args:
            title: What this step is about.
            thought: The thought.
            action: What to do next.
            confidence: How sure it is, from 0 to 1.
        """
        return f"{title}: {thought}" + (f"\nNext: {action}" if action else "") + f"\nConfidence: {confidence}"

    def analyze(
        self, title: str, result: str, analysis: str, next_action: str = "continue", confidence: float = 0.8
    ) -> str:
        """Judge a result.

        Args:
            title: What this step is about.
            result: The result.
            analysis: What it means.
            next_action: continue, validate or final_answer.
            confidence: How sure it is, from 0 to 1.
        """
        return f"{title}: {result}\n{analysis}\nNext: {next_action}\nConfidence: {confidence}"
