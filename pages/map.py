"""Map: which items stand together, for readers and in the synthetic sequences, with the same items in each view."""

from foster.ui import atlas, frame
from foster.ui.frame import heading
from foster.ui.states import banner, need_run

selection = frame("Map")
heading(
    "Where the items stand",
    "Each point is an item. Near each other on the left are items that the same people took; on the right, items that "
    "the synthetic sequences put together. If distillation kept the structure, the two pictures tell the same story.",
)
run, status = need_run(selection)
banner(selection.store, run, status)
atlas.item_map(run, status)
