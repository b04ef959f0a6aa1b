package io.livelift.attribution;

/** The columns of the ledger. */
final class Ledger {
    private Ledger() {}
}
