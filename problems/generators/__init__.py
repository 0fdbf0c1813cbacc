"""Random mixed-integer programs of the families that learned solvers are measured on, and three classical ones.

`generate("auction", "small", seed=7)` gives an instance at a named size; each family's own function takes its numbers.
"""

from optengine.problems.generators.assignment import generalized_assignment as generalized_assignment
from optengine.problems.generators.auction import combinatorial_auction as combinatorial_auction
from optengine.problems.generators.families import (
    FAMILIES as FAMILIES,
    SIZES as SIZES,
    generate as generate,
)
from optengine.problems.generators.location import (
    capacitated_facility_location as capacitated_facility_location,
    p_median as p_median,
)
from optengine.problems.generators.placement import item_placement as item_placement
from optengine.problems.generators.set_cover import set_cover as set_cover
from optengine.problems.generators.workload import workload_apportionment as workload_apportionment
