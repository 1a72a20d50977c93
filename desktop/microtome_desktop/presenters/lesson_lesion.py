"""The lesson in which a model of images loses faces and keeps objects."""

from __future__ import annotations

from microtome_desktop.state.course import Act, Lesson, Step
from microtome_desktop.state.lesions import LesionWish

_WISH = LesionWish(target="face", layers=("pool",), count=12, beside="texture", beside_count=10)
LOSE_FACES = Lesson(
    "lesion",
    "Lose faces, keep objects",
    "Damage one part of a network that sees: it no longer knows who it is, and still knows a cup.",
    "shapes-resnet",
    (
        Step(
            "People with a certain brain damage see as well as ever, but no longer tell whose "
            "face they see. This network names six faces, six objects, four textures and six "
            "digits. The form takes the twelve of its 32 last channels most selective for faces, "
            "found on images of their own, and to compare with ten for textures. Press Lesion: "
            "each set in turn is set to zero.",
            Act.PRESS, "lesion", brings="analyses/lesion", front="lesions",
            view={"wish": _WISH.told()},
        ),
        Step(
            "Faces are lost: of 100 % right answers a third is left. Objects are all still there, "
            "and so are textures and digits. Beside stands what twelve random channels cost: the "
            "deficit is not one of size. The curve below adds the channels one by one; its band "
            "are 20 random lesions. In the matrix faces are now taken for other things.",
        ),
        Step(
            "One deficit alone could mean that faces are merely harder. So look at the last "
            "column: without the channels for textures, textures are lost and faces stay. Each "
            "can go without the other: a double dissociation. The list above the table has the "
            "other lesion as well, with its own random ones.",
        ),
        Step(
            "Try the mean in place of "
            "zero: with the same twelve channels much less is lost. A lesion that takes a part's "
            "information away is not the same as one that also moves what others read, so say "
            "always which one it was. Of a language model the same panel has a row for each task.",
        ),
    ),
    image="shapes",
)  # fmt: skip
