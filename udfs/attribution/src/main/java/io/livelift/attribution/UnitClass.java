package io.livelift.attribution;

/** What kind of unit one is in an experiment, as ordinals of {@link #ALL}; a bot is a bot, crossed or not. */
final class UnitClass {
    static final int CLEAN = 0;
    static final int CROSSED = 1;
    static final int BOT = 2;

    static final String[] ALL = {"clean", "crossed", "bot"};

    private UnitClass() {}

    static int of(boolean crossed, boolean bot) {
        return bot ? BOT : crossed ? CROSSED : CLEAN;
    }
}
