"""Calling user code: how many arguments it takes, sync or async, within a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import types
import weakref
from typing import TYPE_CHECKING, Any

from runtime.errors import make_error
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.lifecycle.work import WorkTracker

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


Arity = tuple[int, int | None, tuple[Any, ...]]

# Weak, because hooks may be closures over one generation of an actor: a cache that held them would hold its whole state.
_arities: weakref.WeakKeyDictionary[Callable[..., Any], Arity] = weakref.WeakKeyDictionary()


def arity(function: Callable[..., Any]) -> Arity:
    """Required positional parameters, accepted ones (None: any number), and the defaults of the rest."""
    # A bound method is made anew at every access, so what is remembered is the function under it, for all instances.
    if isinstance(function, types.MethodType):
        required, accepted, defaults = arity(function.__func__)
        return max(0, required - 1), None if accepted is None else max(0, accepted - 1), defaults
    try:
        return _arities[function]
    except (KeyError, TypeError):
        found = _read(function)
    with contextlib.suppress(TypeError):  # some callables can't be referred to weakly, or have no hash
        _arities[function] = found
    return found


def _read(function: Callable[..., Any]) -> Arity:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 0, None, ()
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    defaults = tuple(parameter.default for parameter in positional if parameter.default is not parameter.empty)
    unbounded = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return len(positional) - len(defaults), None if unbounded else len(positional), defaults


def fit(function: Callable[..., Any], args: Sequence[Any]) -> list[Any]:
    """Positional arguments that fit `function`: surplus ones dropped, missing required ones `UNDEFINED`, missing values defaulted."""
    required, accepted, defaults = arity(function)
    fitted = list(args if accepted is None else args[:accepted])
    while len(fitted) < required:
        fitted.append(UNDEFINED)
    for index in range(required, len(fitted)):
        if fitted[index] is UNDEFINED and index - required < len(defaults):
            fitted[index] = defaults[index - required]
    return fitted


async def call_limited(work: WorkTracker, function: Callable[..., Any], args: Sequence[Any], timeout: float | None, label: str) -> Any:
    """Call a hook. Over its limit it is not cancelled, its later result is ignored (CONN-022).

    Raises:
        ActorError: actor.callback_timed_out with the hook's wire name and the limit in milliseconds (START-068, CONN-020).
    """
    result = function(*fit(function, args))
    if not inspect.isawaitable(result):
        return result
    if timeout is None:
        return await result
    child = work.adopt(_await(result))
    done, _ = await asyncio.wait({child}, timeout=timeout)
    if not done:
        child.add_done_callback(_ignore)
        raise make_error("actor.callback_timed_out", callback_name=label, duration_ms=round(timeout * 1000))
    return child.result()


async def _await(result: Any) -> Any:
    return await result


def _ignore(done: asyncio.Task[Any]) -> None:
    if not done.cancelled():
        done.exception()
