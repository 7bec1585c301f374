"""The recipe: every choice of a training run, read from a TOML file. Standard library only."""

import json
import pathlib
import tomllib

from files import fail

# What makes one run unlike another.
RUN_SECTIONS = ("encoder", "train", "warmup", "finetune", "negatives", "targets", "mine", "data", "sources")
DEFAULT = pathlib.Path(__file__).with_name("recipe.toml")


def load(path=None, changes=()):
    """Reads a recipe and applies `section.key=value` changes, whose values are TOML. What a section of
    a recipe of yours does not say is as in the tool's."""
    recipe = read(path or DEFAULT)
    for name, section in read(DEFAULT).items() if path else ():
        if isinstance(recipe.get(name), dict) and name != "sources":
            recipe[name] = {**section, **recipe[name]}
    for change in changes:
        apply(recipe, change)
    return recipe


def read(path):
    try:
        return tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        fail(f"cannot read the recipe {path}: {error}")


def apply(recipe, change):
    key, equals, value = change.partition("=")
    if not equals:
        fail(f"--set {change}: write it as section.key=value")
    *sections, last = key.strip().split(".")
    table = recipe
    for section in sections:
        if section not in table or not isinstance(table[section], dict):
            fail(f"--set {change}: the recipe has no section {section}")
        table = table[section]
    if last not in table and sections[:1] != ["sources"]:
        fail(f"--set {change}: the recipe has no key {key}")
    table[last] = parsed(value)


def parsed(value):
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def source(recipe, name):
    """A source's settings: its own over the defaults."""
    return {**recipe["source_defaults"], **recipe["sources"].get(name, {})}


def fingerprint(recipe):
    """The settings of a run in one line, for the table of everything tried."""
    kept = {key: recipe[key] for key in RUN_SECTIONS}
    return json.dumps(kept, sort_keys=True)
