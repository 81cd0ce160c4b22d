"""`python -m nferbench` is `nferbench`."""

from nferbench.cli import main

if __name__ == "__main__":  # worker processes that are spawned import this file under another name
    main()
