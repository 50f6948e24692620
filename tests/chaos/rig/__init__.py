"""Tools of the chaos tests: clusters, doomed and faulty workers, a storm of faults, a ledger of what came out."""
