"""Planted violations of the clauses of the conformance kit, one a clause."""

from pydantic import ConfigDict, Field, field_serializer

__all__ = ["Mutants"]


class Mutants(dict):
    """Classes (or functions that give one) by the clause that each of them violates."""

    def __init__(self, toy, config, clauses):
        """``toy`` keeps all ``clauses``; its options are ``config``."""
        super().__init__()
        self.clauses = clauses
        self["name"] = type("Shouting", (toy,), {"name": "Toy Plug-in", "__doc__": "Shouts."})
        self._of_configurations(toy, config)

    def __call__(self, clause):
        """Enter the decorated class as the violation of a clause."""

        def enter(kind):
            assert clause not in self
            self[clause] = kind
            return kind

        return enter

    def _of_configurations(self, toy, config):
        class Silent(config):
            extra: int = 3

        class Demanding(config):
            needed: int = Field(description="has no default")

        class Lenient(config):
            model_config = ConfigDict(extra="ignore")

        class Soft(config):
            model_config = ConfigDict(frozen=False)

        class Rounding(config):
            size: float = Field(0.5, description="is rounded in files")

            @field_serializer("size")
            def _short(self, value):
                return round(value)

        wrong = {
            "config-described": Silent,
            "config-defaults": Demanding,
            "config-strict": Lenient,
            "config-frozen": Soft,
            "config-round-trip": Rounding,
        }
        for clause, options in wrong.items():
            body = {"Config": options, "__doc__": f"Violates {clause}."}
            self(clause)(type(options.__name__, (toy,), body))

    def options(self, clause):
        """What its mutant cannot be built without."""
        return {"needed": 1} if clause == "config-defaults" else None

    def assert_found(self, clause, report, most):
        """The violation is found, said in one line, and breaks at most so many clauses."""
        found = {f.clause: f for f in report.findings}
        assert found[clause].ok is False, found[clause]
        assert self.clauses.clauses[clause].promise in found[clause].sentence
        assert "\n" not in found[clause].sentence
        assert len(report.failures) <= most, [f.sentence for f in report.failures]
