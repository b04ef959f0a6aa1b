package io.livelift.attribution;

/** A record's bytes are not an event. Carries no stack trace, since a flood of such records must stay cheap. */
final class Unreadable extends Exception {
    private static final long serialVersionUID = 1;

    Unreadable(String message) {
        super(message, null, false, false);
    }
}
