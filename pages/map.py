"""Map: which items stand together, for readers and in the synthetic sequences, with the same items in each view."""

from foster.ui import atlas, frame
from foster.ui.frame import heading
from foster.ui.states import banner, need_run

selection = frame("Map")
heading(
    "Where the items stand",
    "Each point is an item. In the real picture, items that the same people took are near each other; in the synthetic "
    "one, items that the sequences recommend together. If distillation kept the structure, both tell the same story.",
)
run, status = need_run(selection)
banner(selection.store, run, status)
atlas.item_map(run, status)
