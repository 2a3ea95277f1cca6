"""Rows of the table of flags: a run that several processes share."""

from init_study.cli.option import Option

OF_HOSTS = (
    Option(
        "part",
        ("run",),
        "K/N: each Nth program from the Kth on, beside other parts in one folder.",
        against={"until": "a race is whole", "tensorboard": "it follows a whole run"},
    ),
    Option(
        "distributed",
        ("run",),
        "Share the run with the same command on other hosts, which see its folder; "
        "which these are is what the cluster says.",
        *(bool, False),
        against={
            "until": "a race is run on one host",
            "part": "parts do not wait for one another",
            "tensorboard": "it follows a run on one host",
            "spectra": "they are measured on one host",
        },
    ),
    Option(
        "coordinator",
        ("run",),
        "HOST:PORT where process 0 listens; by default what the cluster says.",
        needs="distributed",
    ),
    Option(
        "processes",
        ("run",),
        "How many processes there are; by default what the cluster says.",
        int,
        least=1,
        needs="distributed",
    ),
    Option(
        "process",
        ("run",),
        "Which one this is, from 0; by default what the cluster says.",
        int,
        least=0,
        needs="distributed",
    ),
)
