"""Mapping templates as Python closures: what the interpreter does, without asking at every request what to do.

The interpreter walks a template's elements, which for the template of POST /events takes seven times as long as these
closures, made once of the same parsed elements. They cover text, references, method calls, quoted strings, literals,
expressions, #set and #if; a template with anything else (loops, macros, arrays) stays with the interpreter. That both
give the same text, the same changes and the same errors is tested with generated templates.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import airspeed.operators as velocity

Names = dict[str, Any]
"""The variables of a template, by name."""
Write = Callable[[str], object]
Emit = Callable[[Names, Write], object]
"""Writes what an element prints."""
Calculate = Callable[[Names], Any]
"""Gives the value of an element."""
Step = Callable[[Any, Names], Any]
"""Gives a member of an object, or what a method of it returns."""


class _InterpretedError(Exception):
    """The template holds an element that only the interpreter knows."""


def compile_template(template: "velocity.Template") -> Callable[[Names], str] | None:
    """Return what renders a parsed template over its variables, or None where only the interpreter can.

    What is returned raises velocity.TemplateExecutionError as the interpreter does.
    """
    try:
        emit = _Compiler(template.root_element.block).main()
    except _InterpretedError:
        return None

    def render(names: Names) -> str:
        written: list[str] = []
        # A copy, because #set makes variables of this rendering.
        emit(dict(names), written.append)
        return "".join(written)

    return render


class _Compiler:
    """Compiles one template; knows the variables that are set once, outside of any #if, to a constant."""

    def __init__(self, block: "velocity.Block") -> None:
        self._main = block
        self._set = Counter(_assigned(block))
        self._known: dict[str, str] = {}

    def main(self) -> Emit:
        """Compile the template."""
        return self._block(self._main)

    def _block(self, block: "velocity.Block") -> Emit:
        compiled = [self._statement(child, block) for child in block.children]

        def emit(names: Names, write: Write) -> None:
            element = None
            try:
                for run, element in compiled:  # noqa: B007 - the handler names the element that failed
                    run(names, write)
            except velocity.TemplateExecutionError:
                raise
            except Exception:  # noqa: BLE001 - the interpreter wraps whatever a template's call raises
                raise velocity.TemplateExecutionError(element, sys.exc_info())  # noqa: B904 - it names the cause itself

        return emit

    def _statement(self, element: "velocity._Element", block: "velocity.Block") -> "tuple[Emit, velocity._Element]":
        """Return what an element of a block does, and the element that its errors name."""
        match element:
            case velocity.Comment():
                return (lambda _names, _write: None), element
            case velocity.Text() | velocity.FallthroughHashText():
                text = element.text
                return (lambda _, write: write(text)), element
            case velocity.FormalReference():
                text_of = self._reference(element)
                return (lambda names, write: write(text_of(names))), element
            case velocity.SetDirective():
                return self._assignment(element.assignment, block), element.assignment
            case velocity.IfDirective():
                return self._if(element), element
        raise _InterpretedError

    def _reference(self, element: "velocity.FormalReference") -> Callable[[Names], str]:
        """Return what gives the text that a reference prints."""
        if (known := self._known_text(element)) is not None:
            return lambda _: known
        source = element.my_text()
        if element.expression is None:
            value_of, missing = _constant(None), source  # what `$` alone is worth
        else:
            value_of, missing = self._variable(element.expression), ""
        alternate = None if element.alternate is None else self._value(element.alternate.expression)

        def text(names: Names) -> str:
            value = value_of(names)
            if value == velocity.REPLACE_FORMAL_TEXT:
                value = source
            elif value is None:
                value = missing if alternate is None else alternate(names) or ""
            return value if isinstance(value, str) else str(velocity.value_to_string(value))

        return text

    def _known_text(self, element: "velocity._Element") -> str | None:
        """Return what a text prints, or a reference to a variable that is known; None for another element."""
        if isinstance(element, velocity.Text):
            return str(element.text)
        if not isinstance(element, velocity.FormalReference) or element.expression is None:
            return None
        part = element.expression.part
        plain = element.expression.subexpression is None and part.parameters is None and part.index is None
        return self._known.get(part.name) if plain else None

    def _assignment(self, element: "velocity.Assignment", block: "velocity.Block") -> Emit:
        value_of, root = self._expression(element.value), element.root_term
        terms = [self._term(assigned.term) for assigned in element.terms]
        if not terms:
            constant = getattr(value_of, "constant", None)
            if block is self._main and self._set[root] == 1 and isinstance(constant, str):
                self._known[root] = constant

            def set_variable(names: Names, _: Write) -> None:
                names[root] = value_of(names)

            return set_variable

        def set_member(names: Names, _: Write) -> None:
            value = value_of(names)
            target = names[root]
            for term in terms[:-1]:
                target = target[term(names)]
            target[terms[-1](names)] = value

        return set_member

    def _term(self, term: "velocity._Element") -> Calculate:
        if isinstance(term, velocity.DotDictAccessTerm):
            return _constant(term.value)
        return self._value(term.value)

    def _if(self, element: "velocity.IfDirective") -> Emit:
        branches = [(self._condition(element.condition), self._block(element.block))]
        branches += [(self._condition(one.condition), self._block(one.block)) for one in element.elseifs]
        other = element.else_block
        otherwise = self._block(other.block) if isinstance(other, velocity.ElseBlock) else None

        def emit(names: Names, write: Write) -> None:
            for holds, block in branches:
                if holds(names):
                    block(names, write)
                    return
            if otherwise is not None:
                otherwise(names, write)

        return emit

    def _condition(self, element: "velocity.Condition") -> Callable[[Names], bool]:
        value_of = self._parenthesis(element.expression)

        def holds(names: Names) -> bool:
            value = value_of(names)
            return True if value is None else bool(value)

        return holds

    def _parenthesis(self, element: "velocity.ParenthesizedExpression") -> Calculate:
        # A parenthesis keeps its inner expression as the bound method that calculates it.
        return self._expression(element.calculate.__self__)

    def _value(self, element: "velocity._Element") -> Calculate:
        match element:
            case velocity.Value():
                return self._value(element.expression)
            case velocity.InterpolatedStringLiteral():
                return self._quoted(element)
            case (
                velocity.NullLiteral()
                | velocity.IntegerLiteral()
                | velocity.FloatingPointLiteral()
                | velocity.BooleanLiteral()
                | velocity.StringLiteral()
            ):
                return _constant(element.value)
            case velocity.FormalReference() if element.expression is not None:
                return self._variable(element.expression)
            case velocity.ParenthesizedExpression():
                return self._parenthesis(element)
            case velocity.UnaryOperatorValue():
                return self._unary(element)
        raise _InterpretedError

    def _quoted(self, element: "velocity.InterpolatedStringLiteral") -> Calculate:
        children = element.block.children
        if not all(isinstance(child, velocity.Text | velocity.FormalReference) for child in children):
            raise _InterpretedError  # a directive inside of quotes
        texts = [self._known_text(child) for child in children]
        if all(text is not None for text in texts):
            return _constant("".join(text for text in texts if text is not None))
        return self._joined(children, texts)

    def _joined(self, children: "Sequence[velocity._Element]", texts: Sequence[str | None]) -> Calculate:
        """Compile a string of texts and references, of which most strings are."""
        pattern: list[str] = []
        references: list[tuple[int, velocity.FormalReference, Callable[[Names], str]]] = []
        last_is_text = False
        for child, text in zip(children, texts, strict=True):
            if text is not None and last_is_text:
                pattern[-1] += text
                continue
            last_is_text = text is not None
            pattern.append(text or "")
            if text is None:
                references.append((len(pattern) - 1, child, self._reference(child)))

        def calculate(names: Names) -> str:
            parts = pattern.copy()
            element = None
            try:
                for place, element, text_of in references:  # noqa: B007 - the handler names the element that failed
                    parts[place] = text_of(names)
            except velocity.TemplateExecutionError:
                raise
            except Exception:  # noqa: BLE001 - as in a block
                raise velocity.TemplateExecutionError(element, sys.exc_info())  # noqa: B904 - the same
            return "".join(parts)

        return calculate

    def _unary(self, element: "velocity.UnaryOperatorValue") -> Calculate:
        value_of, apply = self._value(element.value), element.op

        def calculate(names: Names) -> object:
            value = value_of(names)
            return False if value is None else apply(value)

        return calculate

    def _expression(self, element: "velocity.Expression") -> Calculate:
        terms = element.expression
        if len(terms) == 1:
            return self._value(terms[0])
        return _operations([self._value(value) for value in terms[::2]], terms[1::2])

    def _variable(self, element: "velocity.VariableExpression") -> Calculate:
        """Compile `$name.member.method(...)`."""
        name, parameters = element.part.name, self._parameters(element.part)
        steps = list(self._steps(element.subexpression))
        if parameters is None and not steps:
            return lambda names: names.get(name)

        def calculate(names: Names) -> Any:  # noqa: ANN401 - any value of a template
            value = names.get(name)
            if value is not None and parameters is not None:
                value = value(*[parameter(names) for parameter in parameters])
            for step in steps:
                value = step(value, names)
            return value

        return calculate

    def _steps(self, element: "velocity.SubExpression | None") -> Iterable[Step]:
        while element is not None:
            if not isinstance(element.expression, velocity.VariableExpression):
                raise _InterpretedError
            yield self._step(element.expression.part)
            element = element.expression.subexpression

    def _step(self, part: "velocity.NameOrCall") -> Step:
        name, parameters = part.name, self._parameters(part)
        if parameters is None:
            return lambda current, _: _member(current, name)

        def step(current: object, names: Names) -> Any:  # noqa: ANN401 - any value of a template
            found = _member(current, name)
            return None if found is None else found(*[parameter(names) for parameter in parameters])

        return step

    def _parameters(self, part: "velocity.NameOrCall") -> list[Calculate] | None:
        if part.index is not None:
            raise _InterpretedError
        if part.parameters is None:
            return None
        values = part.parameters.values
        return [self._value(value) for value in values.values] if isinstance(values, velocity.ValueList) else []


def _assigned(element: "velocity._Element") -> Iterator[str]:
    """Yield the name of each variable that is set, as often as a #set of it stands in the template."""
    match element:
        case velocity.Block():
            for child in element.children:
                yield from _assigned(child)
        case velocity.SetDirective():
            yield element.assignment.root_term
        case velocity.IfDirective():
            for block in (element.block, *(one.block for one in element.elseifs)):
                yield from _assigned(block)
            if isinstance(element.else_block, velocity.ElseBlock):
                yield from _assigned(element.else_block.block)


def _constant(value: object) -> Calculate:
    def calculate(_: Names) -> object:
        return value

    calculate.constant = value  # type: ignore[attr-defined]  # tells a #set what it sets
    return calculate


def _operations(values: Sequence[Calculate], operators: "Sequence[velocity.BinaryOperator]") -> Calculate:
    """Compile values with operators between them; the interpreter's order holds: the right side is calculated first."""
    waiting: list[velocity.BinaryOperator] = []
    operands: list[Calculate | int] = [values[0]]
    steps: list[tuple[Callable[[Any, Any], Any], Calculate | int, Calculate | int]] = []

    def reduce() -> None:
        right, left = operands.pop(), operands.pop()
        steps.append((waiting.pop().apply_to, left, right))
        operands.append(len(steps) - 1)

    for operator, value in zip(operators, values[1:], strict=True):
        while waiting and not operator.greater_precedence_than(waiting[-1]):
            reduce()
        waiting.append(operator)
        operands.append(value)
    while waiting:
        reduce()

    def calculate(names: Names) -> Any:  # noqa: ANN401 - any value of a template
        results: list[Any] = []
        for apply, left, right in steps:
            second = results[right] if isinstance(right, int) else right(names)
            first = results[left] if isinstance(left, int) else left(names)
            results.append(apply(first, second))
        return results[-1]

    return calculate


def _member(current: Any, name: str) -> Any:  # noqa: ANN401 - any value of a template
    """Return a member as Velocity looks for it: by key, as an attribute, as a method that Java's class has."""
    if current is None:
        return None
    # A lookup that raises costs more than all else here, and most templates ask for what is not there.
    if isinstance(current, dict):
        found = current.get(name)
        if found is not None:
            return found
    elif current.__class__ is not str:
        try:
            found = current[name]
        except (KeyError, TypeError, AttributeError):
            found = None
        if found is not None:
            return found
    found = getattr(current, name, None)
    if found is None:
        method = velocity.__additional_methods__.get(current.__class__, {}).get(name)
        return None if method is None else partial(method, current)
    return found
