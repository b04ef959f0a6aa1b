package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import io.livelift.attribution.SumDelta;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.junit.jupiter.api.Test;

class PendingSumsTest {
    private static final byte[] FIVE = {1, 0, 1, 5};
    private static final int KIND = 0;
    private static final int EPOCH = 1;
    private static final int TENANT_ID = 2;
    private static final int EXPERIMENT_ID = 3;
    private static final int METRIC_ID = 6;
    private static final int COHORT = 8;
    private static final int N = 11;
    private static final int SUMS = 12;
    private static final int COUNTED_AT = 13;
    private static final int REFUSED = 14;

    private static final Series CHECKOUT =
            new Series("slot", "acme", "checkout", 1, "treatment", "revenue", "", "clean");
    private static final Series BANNER = new Series("slot", "acme", "banner", 1, "treatment", "revenue", "", "clean");
    private static final Series LEDGER = new Series("ledger", "acme", "", 0, "", "livelift.acme.outcomes", "", "");

    private final RowDataSerializer copies = new RowDataSerializer(DeltaRows.LOGICAL);
    /** All that left, but for totals. */
    private final List<RowData> rows = new ArrayList<>();

    private final List<RowData> totals = new ArrayList<>();

    @Test
    void changesOfOneKeyAreOneRowWithTheirSumAndTheNewestMoment() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 2, 1000);
        slot(pending, CHECKOUT, -1, 3000);
        slot(pending, CHECKOUT, 4, 2000);
        assertTrue(rows.isEmpty());
        pending.flushSlots();
        RowData row = rows.get(0);
        assertEquals(1, rows.size());
        assertEquals(5, row.getLong(N));
        assertEquals(15, SumDelta.decode(row.getBinary(SUMS))[0].intValueExact());
        assertEquals(3000, row.getLong(COUNTED_AT));
    }

    @Test
    void aFlushForgetsWhatHasLeft() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 2, 3000);
        pending.flushSlots();
        slot(pending, CHECKOUT, 1, 1000);
        pending.flushSlots();
        assertEquals(List.of(2L, 1L), rows.stream().map(row -> row.getLong(N)).toList());
        assertEquals(1000, rows.get(1).getLong(COUNTED_AT));
        pending.flushSlots();
        assertEquals(2, rows.size());
    }

    @Test
    void eachSeriesAndEachCohortIsARowOfItsOwn() {
        PendingSums pending = pending("");
        pending.delta(CHECKOUT, 0, 1, FIVE, 1);
        pending.delta(CHECKOUT, 9, 1, FIVE, 1);
        pending.delta(LEDGER, 0, 1, FIVE, 1);
        pending.delta(LEDGER, 9, 1, FIVE, 1);
        pending.flushSlots();
        assertEquals(List.of("ledger", "ledger", "slot", "slot"), kinds());
        assertEquals(List.of(0L, 9L, 0L, 9L), rows.stream().map(row -> row.getLong(COHORT)).toList());
        rows.forEach(row -> assertEquals(1, row.getLong(N)));
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
        assertEquals(List.of(3L, 4L, 3L, 4L), totals.stream().map(row -> row.getLong(N)).toList());
        RowData total = totals.get(2);
        assertEquals("checkout", total.getString(EXPERIMENT_ID).toString());
        assertEquals(0, total.getLong(COHORT));
        assertEquals(10, SumDelta.decode(total.getBinary(SUMS))[0].intValueExact());
        assertEquals(20, total.getLong(COUNTED_AT));
        rows.clear();
        pending.flushSlots();
        assertEquals(List.of(2L, 4L, 8L), rows.stream().map(row -> row.getLong(N)).toList());
        assertEquals(10, SumDelta.decode(rows.get(0).getBinary(SUMS))[0].intValueExact());
        assertEquals(4, totals.size());
        pending.flushSlots();
        assertEquals(3, rows.size());
    }

    @Test
    void moreKeysThanAreRememberedAreCountedAllTheSame() {
        PendingSums pending = pending("");
        for (int round = 0; round < 2; round++) {
            for (int cohort = 0; cohort <= PendingSums.MOST_REMEMBERED; cohort++) {
                pending.delta(CHECKOUT, cohort, 1, FIVE, 1);
            }
            assertTrue(pending.isFull());
            pending.flushSlots();
        }
        assertEquals(2 * (PendingSums.MOST_REMEMBERED + 1), rows.size());
        rows.forEach(row -> assertArrayEquals(FIVE, row.getBinary(SUMS)));
    }

    @Test
    void everyRowBearsTheEpochOfTheJobAndItsTenant() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 1, 1000);
        ledger(pending);
        pending.rejected(Reason.TOO_LATE, "", record());
        pending.flushSlots();
        assertEquals(List.of("rejected", "ledger", "slot"), kinds());
        rows.forEach(row -> assertEquals(7, row.getInt(EPOCH)));
        rows.forEach(row -> assertEquals("acme", row.getString(TENANT_ID).toString()));
    }

    @Test
    void aCountedChangeIsInTheColumnsOfItsKey() {
        PendingSums pending = pending("");
        slot(pending, CHECKOUT, 1, 1000);
        pending.flushSlots();
        RowData row = rows.get(0);
        assertEquals("checkout", row.getString(EXPERIMENT_ID).toString());
        assertEquals("revenue", row.getString(METRIC_ID).toString());
        assertTrue(row.isNullAt(REFUSED));
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
        assertEquals("checkout", rows.get(0).getString(EXPERIMENT_ID).toString());
    }

    @Test
    void ofARefusedRecordThatFitsNoMessageTheBeginningIsKept() {
        LogRecord record = record();
        record.value = new byte[DeltaRows.MOST_REFUSED_BYTES + 1];
        pending("").rejected(Reason.UNREADABLE, "no Avro", record);
        RowData refused = rows.get(0).getRow(REFUSED, 8);
        assertEquals("unreadable", refused.getString(0).toString());
        assertEquals("no Avro (the first 900000 of 900001 bytes are kept)", refused.getString(1).toString());
        assertEquals(DeltaRows.MOST_REFUSED_BYTES, refused.getBinary(7).length);
    }

    private PendingSums pending(String onlyExperimentId) {
        return new PendingSums(
                new DeltaRows("local", 7),
                onlyExperimentId,
                row -> (kind(row).equals("total") ? totals : rows).add(copies.copy(row)));
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

    private List<String> kinds() {
        return rows.stream().map(PendingSumsTest::kind).toList();
    }

    private static String kind(RowData row) {
        return row.getString(KIND).toString();
    }
}
