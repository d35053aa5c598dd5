"""Which images a run trains on, as a validated record."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kdcore.data.augment import Augmentation
from kdcore.data.sources import FOLDER_NAME, SOURCES, source


class DataConfig(BaseModel):
    """Which images a run trains on, which of them have labels, and how they are varied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The image set; \"folder\" is a folder or zip file of one's own.")
    path: str | None = Field(None, min_length=1, max_length=4096, description="The folder or zip file of class "
                             "folders; a relative path starts in the data folder.")
    size: int | None = Field(None, ge=8, le=512, description="Side in pixels to which image files are scaled, by their "
                             "largest centred square. Empty: 32 for one's own images, 224 for MIT-67 and CUB-200.")
    images: int | None = Field(None, ge=1, description="Training images in total, in equal parts of each class. "
                               "Empty: all of them.")
    per_class: int | None = Field(None, ge=1, description="Training images of each class, instead of a total.")
    labelled_per_class: int | None = Field(None, ge=1, description="Images of each class that keep their label; the "
                                           "others are trained on without one. Empty: all of them.")
    labelled_share: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False, description="Share of each batch that has "
                                  "labels, where other images have none: with few labels among many a batch as they "
                                  "come has hardly one. 0: as they come.")
    label_noise: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False, description="Share of the labelled training "
                               "images whose label is replaced by that of another class, at random.")
    validation: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False, description="Share of the training images that is "
                              "held out, in equal parts of each class; the run is measured on them too.")
    augment: Augmentation = Field("none", description="How training images are varied at each step: cropped at random "
                                  "after padding by 4 pixels, mirrored, or both.")
    watermark: bool = Field(False, description="Shapes only: a small mark at the border betrays the class of each "
                            "training image; in the test images it is that of a random class.")
    seed: int | None = Field(None, ge=0, title="Seed of the draw", description="Which images are drawn. Empty: the "
                             "run's own seed decides, so that each seed sees images of its own.")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != FOLDER_NAME and name not in SOURCES:
            raise ValueError(f"There is no image set {name!r}; choose one of {', '.join(SOURCES)}, or "
                             f"{FOLDER_NAME} with a path.")
        return name

    @model_validator(mode="after")
    def _of_its_set(self) -> DataConfig:
        if (self.name == FOLDER_NAME) != (self.path is not None):
            raise ValueError("Give the path of a folder or zip file with the image set folder, and only with it.")
        if self.size is not None and self.name != FOLDER_NAME and SOURCES[self.name].size is None:
            raise ValueError(f"{SOURCES[self.name].title} has one size; leave size empty.")
        if self.watermark and self.name != "shapes":
            raise ValueError("Only the shapes have a watermark; choose the image set shapes, or leave watermark off.")
        if self.labelled_share and self.labelled_per_class is None:
            raise ValueError("Every image has a label; say how many of each class keep theirs (labelled per class), or "
                             "leave the labelled share at 0.")
        return self

    @model_validator(mode="after")
    def _one_size(self) -> DataConfig:
        if self.images is not None and self.per_class is not None:
            raise ValueError("Give either images or per_class, not both.")
        if self.images is not None or self.per_class is not None:
            found = source(self)
            size = self.images or self.per_class * len(found.classes)
            if size > found.train:
                raise ValueError(f"{found.title} has {found.train} training images; {size} were asked for.")
        return self

    def same_images(self, other: DataConfig) -> bool:
        """Whether both draw from the same images, so that a position means the same in both."""
        return (self.name, self.path) == (other.name, other.path)
