"""`trainer bank`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.bank.plan import BankPlan


@dataclass(frozen=True, slots=True)
class BankCommand:
    """Make a bank of the trained networks, as they stand in their checkpoints."""

    bank: BankPlan = BankPlan()
    """What it is made of."""
    check: bool = False
    """Then play a note with every patch, and fail if one is silent or out of tune."""

    def run(self) -> None:
        """Make the bank; prints its bank.yaml, and a line for each patch that is checked."""
        from trainer.bank.bank import make_bank

        print(make_bank(self.bank))
        if self.check:
            from trainer.bank.check import check_bank

            for line in check_bank(self.bank.out):
                print(line)
