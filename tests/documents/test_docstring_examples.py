"""The examples in module docstrings name what is there and call it as it is to be called."""

from types import ModuleType

import pytest

from tests.documents.docstring_examples import examples, faults_of, modules

MODULES = modules()


@pytest.mark.interpreted
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.removeprefix("walletd."))
def test_the_example_of_a_module_is_true(module: ModuleType) -> None:
    assert faults_of(module) == []


def test_most_modules_have_an_example() -> None:
    assert sum(any(examples(module)) for module in MODULES) > len(MODULES) / 2


@pytest.mark.interpreted
@pytest.mark.parametrize(
    ("example", "fault"),
    [
        ("statement = Statment(5)", "there is no Statment"),
        ("deposit(books, 5)", "there is no deposit()"),
        ("draft = Draft(books)", "missing a required argument: 'now'"),
        ("draft = Draft(books, now)\n    draft.shift(5)", "Draft has no 'shift'"),
        ("draft.move(5)", "missing a required argument"),
        ("draft = Draft(books, now)\n    await draft.effects()", "it is awaited and not asynchronous"),
        ("store = MemoryJournalStore()\n    head = store.head()", "it is asynchronous and not awaited"),
        ("for head in await store.sectors(5): ...", "no object has 'sectors'"),
        ("match verdict:\n        case Denial(): ...", "there is no Denial"),
        ("len(draft.effects(now=5))", "got an unexpected keyword argument 'now'"),
        ("draft.move(5 ...", "this is no Python"),
        ("python -m walletd.wallets.snapshots FILE", "there is no module walletd.wallets.snapshots"),
    ],
)
def test_an_untrue_example_is_found(example: str, fault: str) -> None:
    module = ModuleType("walletd.ledger.draft", f"A draft.\n\n    {example}\n")
    (found,) = faults_of(module)
    assert fault in found
