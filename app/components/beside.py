"""What teacher and students have of one image, kind by kind, as the rows of one picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from app import engine, figures, results
from app.components.layers import map_row, neurons_row, notes, paired, title_of

ANSWERS, AGREEMENT = "answers", "agreement"
USUAL = (ANSWERS, "full_jacobian", "attention_maps", "flow_matrices", AGREEMENT, "map_information")


def kinds() -> dict[str, str]:
    """All that can be a row, with its title: what the networks answer, and what the losses are made of."""
    drawn = {kind: entry["title"] for kind, entry in engine.catalogue()["maps"].items()}
    return {ANSWERS: "Answers", **drawn, **engine.catalogue()["layers"], AGREEMENT: "Neurons that agree"}


@dataclass
class Beside:
    """Teacher and students at one moment of the training, and the image that they are asked about.

    `absent` collects, in sentences, what they do not have, `asked` what was asked of the inspector, for
    `components.take`.
    """

    teacher: tuple[int, int]
    networks: dict[str, tuple[int, int]]
    students: list[dict]
    index: int
    image: dict
    absent: list[str] = field(default_factory=list)
    asked: dict = field(default_factory=dict)

    def rows(self, kinds: list[str], layer: int, channel: int) -> list[dict]:
        """Of what has layers, the one at `layer` from the image; of what has channels, the one at `channel`.

        A row with nothing but the image, where there is no other.
        """
        found = [row for kind in kinds for row in self._rows(kind, layer, channel)]
        return found or [{"name": "", "maps": [None] * (1 + len(self.networks)), "notes": [""] * (
            1 + len(self.networks)), "mark": None}]

    def _rows(self, kind: str, layer: int, channel: int) -> list[dict]:
        if kind in engine.catalogue()["maps"]:
            return self._sensitivity(kind)
        return self._agreement(layer) if kind == AGREEMENT else self._layers(kind, layer, channel)

    def answers(self, temperature: float) -> list[dict]:
        """What each network answers, at a temperature."""
        return self._ask(ANSWERS, "outputs", networks=[self.teacher, *self.networks.values()], index=self.index,
                         temperature=temperature)

    def _sensitivity(self, kind: str) -> list[dict]:
        told, settings = engine.catalogue()["maps"][kind], results.settings(self.students, kind)
        entries = self._ask(kind, "maps", networks=[self.teacher, *self.networks.values()], kind=kind,
                            index=self.index, settings=settings)
        self._say(told["title"], entries[1:], "maps")
        row = self.image["label"] if told["row_per_class"] else 0
        name = f"{told['title']} · {self.image['classes'][row]}" if told["row_per_class"] else told["title"]
        maps = [None if entry["maps"] is None else entry["maps"][row].mean(0) for entry in entries]
        row = {"name": name, "maps": maps, "notes": notes(entry["distance"] for entry in entries[1:]), "mark": None}
        return [row] if any(each is not None for each in maps) else []

    def _layers(self, kind: str, layer: int, channel: int) -> list[dict]:
        title, settings = engine.catalogue()["layers"][kind], results.settings(self.students, kind)
        entries = self._ask(kind, "layers", networks=[*self.networks.values()], kind=kind, indices=[self.index],
                            settings=settings)
        self._say(title, entries, "layers")
        first, at = _at(entries, layer)
        if first is None or first["theirs"].ndim == 1:
            self.absent += [f"{title}: what is compared there are vectors, without a place to draw."] * bool(first)
            return []
        one = channel % first["channels"] if first["channels"] else None
        name = f"{title} · {title_of(first)}" + ("" if one is None else f", channel {one}")
        rows = [{**map_row(first, at, one), "name": name}]
        if first["deviation"] is not None:
            rows += [{"name": f"|t − μ|/σ of channel {one}", "mark": None,
                      "maps": [None, *(found and found["deviation"][one] for found in at)],
                      "notes": ["", *(f"σ {figures.number(found['spread'][one])}" if found else "" for found in at)]}]
        return rows

    def _agreement(self, layer: int) -> list[dict]:
        entries = self._ask(AGREEMENT, "agreement", networks=[*self.networks.values()], indices=[self.index])
        first, at = _at(entries, layer)
        self._say(kinds()[AGREEMENT], entries, "layers")
        if first is None or first["on"] is None:
            return []
        return [{**neurons_row(first, at),
                 "name": f"Neurons that are on; of students, those that differ · {title_of(first)}",
                 "notes": ["", *(f"{found['rate']:.0%} agree" if found else "" for found in at)]}]

    def _ask(self, name: str, question: str, **arguments) -> list[dict]:
        self.asked[name] = question, {**arguments, "teacher": self.teacher}
        return engine.answer(question, **self.asked[name][1])

    def _say(self, title: str, entries: list[dict], what: str) -> None:
        for name, entry in zip(self.networks, entries):
            if entry[what] is None or not len(entry[what]):
                self.absent.append(f"{title}, {name}: {entry['reason']}")


def _at(entries: list[dict], layer: int) -> tuple[dict | None, list[dict | None]]:
    """Of the `paired` layers of networks one by its place from the image; the last one where there are fewer."""
    found = paired(entries)
    return found[min(layer, len(found) - 1)] if found else (None, [])
