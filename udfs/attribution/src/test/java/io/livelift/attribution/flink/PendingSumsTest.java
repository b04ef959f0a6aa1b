package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import io.livelift.attribution.SumDelta;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.flink.table.data.RowData;
import org.junit.jupiter.api.Test;

class PendingSumsTest {
    private static final byte[] FIVE_AS_BYTES = {1, 0, 1, 5};
    private static final SumDelta FIVE = new SumDelta();

    static {
        FIVE.add(FIVE_AS_BYTES);
    }

    private static final Series CHECKOUT =
            new Series("slot", "acme", "checkout", 1, "treatment", "revenue", "", "clean");
    private static final Series BANNER = new Series("slot", "acme", "banner", 1, "treatment", "revenue", "", "clean");
    private static final Series LEDGER = new Series("ledger", "acme", "", 0, "", "livelift.acme.outcomes", "", "");

    /** All that left, but for totals. */
    private final List<SumChange> changes = new ArrayList<>();

    private final List<SumChange> totals = new ArrayList<>();

    @Test
    void changesOfOneKeyAreOneWithTheirSumAndTheNewestMoment() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 2, 1000);
        slot(pending, CHECKOUT, -1, 3000);
        slot(pending, CHECKOUT, 4, 2000);
        assertTrue(changes.isEmpty());
        pending.flushSlots();
        SumChange change = changes.get(0);
        assertEquals(1, changes.size());
        assertEquals(5, change.n());
        assertEquals(15, SumDelta.decode(change.sums())[0].intValueExact());
        assertEquals(3000, change.countedAtMs());
    }

    @Test
    void aFlushForgetsWhatHasLeft() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 2, 3000);
        pending.flushSlots();
        slot(pending, CHECKOUT, 1, 1000);
        pending.flushSlots();
        assertEquals(List.of(2L, 1L), changes.stream().map(change -> change.n()).toList());
        assertEquals(1000, changes.get(1).countedAtMs());
        pending.flushSlots();
        assertEquals(2, changes.size());
    }

    @Test
    void eachSeriesAndEachCohortIsAChangeOfItsOwn() {
        PendingSums pending = pending("");
        pending.delta(CHECKOUT, 0, 1, FIVE, 1);
        pending.delta(CHECKOUT, 9, 1, FIVE, 1);
        pending.delta(LEDGER, 0, 1, FIVE, 1);
        pending.delta(LEDGER, 9, 1, FIVE, 1);
        pending.flushSlots();
        assertEquals(List.of("ledger", "ledger", "slot", "slot"), kinds());
        assertEquals(List.of(0L, 9L, 0L, 9L), changes.stream().map(change -> change.key().timeMs()).toList());
        changes.forEach(change -> assertEquals(1, change.n()));
    }

    @Test
    void slotsOfASeriesTogetherAreItsTotalWhichLeavesBeforeThem() {
        PendingSums pending = pending("");
        for (int flush = 1; flush <= 2; flush++) {
            pending.delta(CHECKOUT, 0, 1, FIVE, flush);
            pending.delta(CHECKOUT, 9, 2, FIVE, 10 * flush);
            pending.delta(BANNER, 9, 4, FIVE, flush);
            ledger(pending);
            pending.flush();
        }
        assertEquals(List.of("ledger", "ledger"), kinds());
        assertEquals(List.of(3L, 4L, 3L, 4L), totals.stream().map(change -> change.n()).toList());
        SumChange total = totals.get(2);
        assertEquals("checkout", total.key().series().experimentId());
        assertEquals(0, total.key().timeMs());
        assertEquals(10, SumDelta.decode(total.sums())[0].intValueExact());
        assertEquals(20, total.countedAtMs());
        changes.clear();
        pending.flushSlots();
        assertEquals(List.of(2L, 4L, 8L), changes.stream().map(change -> change.n()).toList());
        assertEquals(10, SumDelta.decode(changes.get(0).sums())[0].intValueExact());
        assertEquals(4, totals.size());
        pending.flushSlots();
        assertEquals(3, changes.size());
    }

    @Test
    void whatTheEngineAddsIsReadDuringTheCall() {
        PendingSums pending = pending("");
        BigInteger wide = BigInteger.ONE.shiftLeft(70);
        SumDelta reused = new SumDelta();
        for (int round = 0; round < 2; round++) {
            changes.clear();
            reused.clear();
            reused.add(FIVE_AS_BYTES);
            pending.delta(CHECKOUT, 0, 0, reused, 1);
            reused.clear();
            reused.add(new byte[] {1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 64});
            pending.delta(CHECKOUT, 9, 0, reused, 1);
            reused.clear();
            pending.flush();
            pending.flushSlots();
            assertEquals(
                    List.of(BigInteger.valueOf(5), wide),
                    changes.stream()
                            .map(change -> SumDelta.decode(change.sums())[0])
                            .toList());
            assertEquals(wide.add(BigInteger.valueOf(5)), SumDelta.decode(totals.get(round).sums())[0]);
        }
    }

    @Test
    void moreKeysThanAreRememberedAreCountedAllTheSame() {
        PendingSums pending = pending("");
        for (int round = 0; round < 2; round++) {
            for (int cohort = 0; cohort <= PendingSums.MOST_REMEMBERED; cohort++) {
                pending.delta(CHECKOUT, cohort, 1, FIVE, 1);
            }
            pending.flushSlots();
        }
        assertEquals(2 * (PendingSums.MOST_REMEMBERED + 1), changes.size());
        changes.forEach(change -> assertArrayEquals(FIVE_AS_BYTES, change.sums()));
    }

    @Test
    void whereVeryManySlotsArePendingTheyLeaveAndEverythingElseWaitsOn() {
        PendingSums pending = pending("");
        for (int round = 0; round < 3; round++) {
            for (int cohort = 0; cohort < PendingSums.MOST_REMEMBERED; cohort++) {
                ledger(pending);
                pending.delta(CHECKOUT, cohort, 1, FIVE, 1);
                pending.makeRoom();
            }
        }
        assertTrue(changes.size() > 2 * PendingSums.MOST_REMEMBERED);
        assertTrue(changes.stream().allMatch(change -> change.key().kind().equals("slot")));
        assertEquals(List.of(), totals);
        pending.flushSlots();
        long wanted = 3 * PendingSums.MOST_REMEMBERED;
        assertEquals(List.of(wanted), totals.stream().map(SumChange::n).toList());
        assertEquals(List.of(wanted), ofKind("ledger").map(SumChange::n).toList());
        assertEquals(wanted, ofKind("slot").mapToLong(SumChange::n).sum());
    }

    @Test
    void whereEverythingElseIsVeryMuchItLeavesToo() {
        PendingSums pending = pending("");
        for (int minute = 0; minute < 2 * PendingSums.MOST_REMEMBERED; minute++) {
            pending.delta(LEDGER, minute, 1, FIVE, 1);
            pending.makeRoom();
        }
        assertTrue(changes.size() >= PendingSums.MOST_REMEMBERED);
        pending.flushSlots();
        assertEquals(2 * PendingSums.MOST_REMEMBERED, changes.size());
    }

    @Test
    void everyChangeBearsItsTenant() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 1, 1000);
        ledger(pending);
        pending.rejected(Reason.TOO_LATE, "", record());
        pending.flushSlots();
        assertEquals(List.of("rejected", "ledger", "slot"), kinds());
        changes.forEach(change -> assertEquals("acme", change.key().series().tenantId()));
    }

    @Test
    void aCountedChangeNamesItsSum() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 1, 1000);
        pending.flushSlots();
        SumChange change = changes.get(0);
        assertEquals("checkout", change.key().series().experimentId());
        assertEquals("revenue", change.key().series().metricId());
        assertNull(change.refused());
    }

    @Test
    void aJobForOneExperimentWritesNothingOfOthersNorLedgerNorRefusedRecords() {
        PendingSums pending = pending("checkout");
        slot(pending, BANNER, 1, 1000);
        ledger(pending);
        pending.rejected(Reason.TOO_LATE, "", record());
        slot(pending, CHECKOUT, 1, 1000);
        pending.flushSlots();
        assertEquals(List.of("slot"), kinds());
        assertEquals("checkout", changes.get(0).key().series().experimentId());
    }

    @Test
    void ofARefusedRecordThatFitsNoMessageTheBeginningIsKept() {
        LogRecord record = record();
        record.value = new byte[CountedRows.MOST_REFUSED_BYTES + 1];
        pending("").rejected(Reason.UNREADABLE, "no Avro", record);
        RowData refused = changes.get(0).refused();
        assertEquals("unreadable", refused.getString(0).toString());
        assertEquals("no Avro (the first 900000 of 900001 bytes are kept)", refused.getString(1).toString());
        assertEquals(CountedRows.MOST_REFUSED_BYTES, refused.getBinary(7).length);
    }

    @Test
    void refusedRecordsOfAUnitGoTheSameWayAndThoseOfManyDifferentOnes() {
        PendingSums pending = pending("");
        for (int i = 0; i < 100; i++) {
            LogRecord record = record();
            record.offset = i;
            record.key = new byte[] {(byte) (i % 50)};
            pending.rejected(Reason.TOO_LATE, "", record);
        }
        assertEquals(50, changes.stream().map(SumChange::key).distinct().count());
        assertEquals(changes.get(3).key(), changes.get(53).key());
    }

    private PendingSums pending(String onlyExperimentId) {
        return new PendingSums(
                onlyExperimentId, change -> (change.key().kind().equals("total") ? totals : changes).add(change));
    }

    private static void slot(PendingSums pending, Series series, long n, long atMs) {
        pending.delta(series, 0, n, FIVE, atMs);
    }

    private static void ledger(PendingSums pending) {
        pending.delta(LEDGER, 0, 1, FIVE, 1000);
    }

    private static LogRecord record() {
        LogRecord record = new LogRecord();
        record.tenantId = "acme";
        record.topic = "livelift.acme.outcomes";
        record.appendTimeMs = 1000;
        return record;
    }

    private Stream<SumChange> ofKind(String kind) {
        return changes.stream().filter(change -> change.key().kind().equals(kind));
    }

    private List<String> kinds() {
        return changes.stream().map(change -> change.key().kind()).toList();
    }
}
