"""The flags of `--until=decided`."""

from absl import flags

from init_study.answers.verdicts.protocol import Protocol
from init_study.api.arguments import RaceRules, parse_seconds
from init_study.errors import UserError, check_number


def race_rules(values: flags.FlagValues) -> RaceRules | None:
    """Read how a race is decided; None for a plain run.

    Raises: UserError for looks that are no numbers, or a budget that is no time.
    """
    if values.until is None:
        return None
    if values.margin is not None:
        check_number("--margin", values.margin, above=0, most=100)
    share = None if values.margin is None else values.margin / 100
    # `plan` takes none: it says what the whole race would take.
    given = values.budget if "budget" in values else None
    budget = parse_seconds("--budget", given)
    order = values.order if "order" in values else "turns"
    return RaceRules(_protocol(values), share, budget, order)


def _protocol(values: flags.FlagValues) -> Protocol:
    try:
        looks = tuple(int(look) for look in values.looks)
    except ValueError:
        given = ",".join(values.looks)
        raise UserError(f"--looks={given} are not whole numbers, as 5,10,20") from None
    return Protocol(margin=1.0, looks=looks)
