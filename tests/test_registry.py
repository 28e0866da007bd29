import inspect

import pytest

from dfjax import registry


def test_build_calls_the_registered_callable_with_its_arguments():
    registry.register("shape", "square")(lambda *, side: side**2)
    assert registry.build("shape", "square", side=3) == 9


def test_an_unknown_name_lists_the_known_ones():
    registry.register("colour", "red")(dict)
    registry.register("colour", "blue")(dict)
    with pytest.raises(ValueError, match="unknown colour 'green': choose one of blue, red"):
        registry.build("colour", "green")


def test_a_name_is_registered_once():
    registry.register("fruit", "apple")(dict)
    with pytest.raises(ValueError, match="fruit 'apple' is registered twice"):
        registry.register("fruit", "apple")(list)


def test_the_options_of_an_entry_are_its_arguments():
    registry.register("tool", "saw")(lambda *, teeth, length=1: (teeth, length))
    options = registry.options("tool", "saw")
    assert list(options) == ["teeth", "length"]
    assert options["teeth"].default is inspect.Parameter.empty
    assert options["length"].default == 1
    assert registry.options("tool", "axe") == {}
