"""The attribution that the models' licences ask for: a text that goes with every image set made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from robustness.data.objects.library import ModelLibrary

SOURCE = (
    "Sweet Home 3D's additional 3-D models, version 1.8, as packaged by Debian (sweethome3d-furniture 1.8-1)"
)
BLEND_SWAP = "models by contributors of Blend Swap, converted by Emmanuel Puybaret (eTeks)"
CATALOGUES = {
    "BlendSwap-CC-0": BLEND_SWAP,
    "BlendSwap-CC-BY": BLEND_SWAP,
    "KatorLegaz": "models by Andrew Kator and Jennifer Legaz, copyright 2003-2008",
    "Reallusion": "models by Reallusion, copyright 2008-2016",
    "Scopia": "models by Scopia Visual Interfaces Systems and Emmanuel Puybaret (eTeks)",
}
ADDRESSES = {
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC BY 3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC BY 3.0 US": "https://creativecommons.org/licenses/by/3.0/us/",
}


def attributions(library: ModelLibrary, objects: Iterable[str]) -> str:
    """Markdown that names, for each catalogue and creator, the models used and their licence."""
    used: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    licences = {}
    for name in sorted(set(objects)):
        model = library[name]
        used[model.catalogue][model.creator or "not named"].append(model)
        licences[model.catalogue] = model.licence
    lines = [
        "# Attributions",
        "",
        f"The images show models from {SOURCE}, rendered with changed size, light and surroundings.",
    ]
    for catalogue, creators in used.items():
        description = CATALOGUES.get(catalogue, "models")
        licence = licences[catalogue]
        address = f" ({ADDRESSES[licence]})" if licence in ADDRESSES else ""
        lines += [
            "",
            f"## {catalogue}",
            "",
            f"{description[0].upper()}{description[1:]}. Licence: {licence}{address}.",
            "",
        ]
        for creator in sorted(creators, key=str.lower):
            models = ", ".join(
                f"{model.name} (`{model.id.partition('/')[2]}`)" for model in creators[creator]
            )
            lines.append(f"- {creator}: {models}")
    return "\n".join(lines) + "\n"
