"""Agents: `Agent`, `Team` and the model classes, for workflow files and for scripts: `from repertoire import Agent, Team`.

The loop of an agent is pydantic-ai's, and it runs where the body runs. Its parts:

1. `agent` and `team` hold the options. `options` says which of them have no effect. `prompts` turns them into the model's instructions.
2. `agent_run` is one run: it makes pydantic-ai's agent, and turns its end into a `RunResponse` or an error (`failures`).
3. `drive` runs it for sync and for async callers. `responses` are the pieces of a stream.
4. `door_model` is pydantic-ai's model whose requests pass the host; `replies` are its replies. `models` turns a model's name into it.
5. `tools` gives an agent's functions to the model: each call is a step, so a replay does not make it again.
6. `history` keeps what was said in the session.
7. `definition`, `harness` and `workspace` are PyFlue's agents: `create_agent`, and what `ctx.init` gives.

pydantic-ai is imported by the first run of an agent and not before. Used by workflow files, `compat` and scripts.
"""
