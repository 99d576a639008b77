"""Documents that serve many records: reviews, scales, methods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from dualtrace.frozen import Frozen, Text, Url


class Reference(Frozen):
    """One document with at least one way to open it."""

    citation: Text
    year: Annotated[int, Field(ge=1800, le=2100)] | None = None
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,}/\S+$")] | None = None
    pmid: Annotated[str, Field(pattern=r"^\d{5,9}$")] | None = None
    url: Url | None = None

    @model_validator(mode="after")
    def _can_be_opened(self) -> Reference:
        if self.doi is None and self.pmid is None and self.url is None:
            raise ValueError("a reference needs a doi, a pmid or a url")
        return self

    @property
    def link(self) -> str:
        """Return an address that opens it: DOI first, then PubMed, then the url."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/" if self.pmid else str(self.url)
