"""Pages from templates: whatever is filled in is escaped, unless it is `Markup`."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render_page(template: str, page: Any) -> str:
    """Fill a template.

    Args:
        template: its file in `templates/`.
        page: what the template calls `page`; text of it is text, whatever signs it has.

    Returns: the page in ASCII, which any editor, locale and server reads.

    Raises: jinja2.UndefinedError if the template asks for what the page does not have.
    """
    html = _ENVIRONMENT.get_template(template).render(page=page)
    return html.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _keep_percent(text: str) -> str:
    """Keep the percent sign of a number on the number's line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _stylesheet(name: str) -> Markup:
    """Read a `.css` file of this package, to stand in a page as it is."""
    return Markup((files("init_study.report") / name).read_text("ascii"))


_ENVIRONMENT = Environment(
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    loader=PackageLoader("init_study.report"),
)
_ENVIRONMENT.filters["keep_percent"] = _keep_percent
_ENVIRONMENT.globals["stylesheet"] = _stylesheet
