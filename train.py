"""Trains, validates, tests and predicts: ``python train.py {fit,validate,test,predict} --config FILE``."""

from command_line import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
