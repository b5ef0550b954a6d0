"""Print docs/osc.md."""

from daw_bridge.commands.reference import markdown
from daw_bridge.commands.table import GROUPS

if __name__ == "__main__":
    print(markdown(GROUPS), end="")
