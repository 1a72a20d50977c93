"""Names that other tools give to places in a model, as our sites."""

from __future__ import annotations

import re

from microtome.errors import InputError
from microtome.sites import Site

_LONGEST = 200
# Before the name of a layer of units, which no other tool has a name for.
_UNITS = "units:"

# Names of TransformerLens' newer models, of its optional hooks, and of modules of transformers.
_ALIASES = (
    (r"blocks\.(\d+)\.hook_in", "resid_pre"),
    (r"blocks\.(\d+)\.hook_out", "resid_post"),
    (r"blocks\.(\d+)\.(?:hook_mlp_in|ln2\.hook_in)", "resid_mid"),
    (r"blocks\.(\d+)\.mlp\.hook_out", "mlp_out"),
    (r"blocks\.(\d+)\.attn\.hook_out", "attn_out"),
    (r"blocks\.(\d+)\.attn\.o\.hook_in", "z"),
    (r"blocks\.(\d+)\.attn\.q\.hook_out", "q"),
    (r"blocks\.(\d+)\.attn\.k\.hook_out", "k"),
    (r"blocks\.(\d+)\.attn\.v\.hook_out", "v"),
    (r"(?:.*\.)?(?:layers|h)\.(\d+)(?:\.output)?", "resid_post"),
    (r"(?:.*\.)?(?:layers|h)\.(\d+)\.pre_feedforward_layernorm\.output", "mlp_in"),
    (r"(?:.*\.)?(?:layers|h)\.(\d+)\.post_feedforward_layernorm\.output", "mlp_out"),
    (r"(?:.*\.)?(?:layers|h)\.(\d+)\.self_attn\.o_proj\.input", "z"),
    (r"(?:.*\.)?(?:layers|h)\.(\d+)\.mlp(?:\.output)?", "mlp_out"),
    (r"(?:.*\.)?(?:layers|h)\.(\d+)\.(?:self_attn|attn|attention)(?:\.output)?", "attn_out"),
    (r"(?:.*\.)?(?:embed_tokens|embed_in|wte)|embed\.hook_out", "embed"),
)


def site_of(hook: object, head: object = None) -> str:
    """The site of a hook by name; ``""`` for one that no site stands for.

    ``head`` is one head of a site that has heads; without it all of them, one after another.
    """
    if not isinstance(hook, str) or not 0 < len(hook) <= _LONGEST:
        return ""
    if hook.startswith(_UNITS):
        return hook.removeprefix(_UNITS)
    try:
        site = Site.parse(_known(hook))
        if isinstance(head, int) and not isinstance(head, bool):
            site = Site(site.name, site.layer, head)
    except InputError:
        return ""
    return str(site)


def _known(hook: str) -> str:
    for pattern, name in _ALIASES:
        found = re.fullmatch(pattern, hook)
        if found:
            return f"{name}.{found[1]}" if found.groups() and found[1] else name
    return hook


def hook_of(site: str) -> tuple[str, int | None]:
    """The TransformerLens name of a site, and its head; a layer of units under its own name.

    Raises InputError for a site without a layer.
    """
    if not is_site(site):
        return f"{_UNITS}{site}", None
    held = Site.of(site)
    return held.lens_name, held.head


def is_site(name: str) -> bool:
    """Whether a name is that of a site, and not of a layer of units."""
    try:
        Site.parse(name)
    except InputError:
        return False
    return True


def suffix_of(site: str) -> str:
    """The TransformerLens name of a site within its layer: ``hook_mlp_out``."""
    return re.sub(r"^blocks\.\d+\.", "", Site(Site.of(site).name, 0).lens_name)
