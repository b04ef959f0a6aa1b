package io.livelift.attribution;

import java.util.Locale;

/** Why a record was refused, in the order in which the checks are made: the first that fails names the record. */
public enum Reason {
    UNREADABLE,
    MISMATCH,
    BAD_VALUE,
    FROM_FUTURE,
    TOO_LATE,
    DUPLICATE,
    UNKNOWN_DEFINITION,
    UNKNOWN_VARIANT,
    ENDED;

    private final String wireName = name().toLowerCase(Locale.ROOT);

    /** The name in the rejected topic, for example {@code unknown_variant}. */
    public String wireName() {
        return wireName;
    }
}
