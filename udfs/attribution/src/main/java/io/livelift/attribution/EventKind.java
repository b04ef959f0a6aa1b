package io.livelift.attribution;

/** The two event types of a tenant; each has its own topic and its own space of event ids. */
public enum EventKind {
    ASSIGNMENT,
    OUTCOME
}
