package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.table.data.RowData;
import org.junit.jupiter.api.Test;

class DeltaRowsTest {
    private static final byte[] SUMS = {1, 0, 1, 5};
    private static final int KIND = 0;
    private static final int EPOCH = 1;
    private static final int EXPERIMENT_ID = 2;
    private static final int METRIC_ID = 5;
    private static final int SUMS_AT = 11;
    private static final int REFUSED = 13;

    private final List<RowData> rows = new ArrayList<>();

    @Test
    void everyRowBearsTheEpochOfTheJob() {
        DeltaRows output = new DeltaRows("local", 7, "", rows::add);
        slot(output, "checkout");
        ledger(output);
        output.rejected(Reason.TOO_LATE, "", record());
        assertEquals(List.of("slot", "ledger", "rejected"), kinds());
        rows.forEach(row -> assertEquals(7, row.getInt(EPOCH)));
    }

    @Test
    void aCountedChangeIsInTheColumnsOfItsKey() {
        slot(new DeltaRows("local", 0, "", rows::add), "checkout");
        RowData row = rows.get(0);
        assertEquals("checkout", row.getString(EXPERIMENT_ID).toString());
        assertEquals("revenue", row.getString(METRIC_ID).toString());
        assertArrayEquals(SUMS, row.getBinary(SUMS_AT));
        assertTrue(row.isNullAt(REFUSED));
    }

    @Test
    void aJobForOneExperimentWritesNothingOfOthersNorLedgerNorRefusedRecords() {
        DeltaRows output = new DeltaRows("local", 3, "checkout", rows::add);
        slot(output, "banner");
        ledger(output);
        output.rejected(Reason.TOO_LATE, "", record());
        slot(output, "checkout");
        assertEquals(List.of("slot"), kinds());
        assertEquals("checkout", rows.get(0).getString(EXPERIMENT_ID).toString());
    }

    @Test
    void ofARefusedRecordThatFitsNoMessageTheBeginningIsKept() {
        LogRecord record = record();
        record.value = new byte[DeltaRows.MOST_REFUSED_BYTES + 1];
        new DeltaRows("local", 0, "", rows::add).rejected(Reason.UNREADABLE, "no Avro", record);
        RowData refused = rows.get(0).getRow(REFUSED, 8);
        assertEquals("unreadable", refused.getString(0).toString());
        assertEquals("no Avro (the first 900000 of 900001 bytes are kept)", refused.getString(1).toString());
        assertEquals(DeltaRows.MOST_REFUSED_BYTES, refused.getBinary(7).length);
    }

    private static void slot(DeltaRows output, String experimentId) {
        output.delta("slot", experimentId, 1, "treatment", "revenue", "", 0, "clean", 0, SUMS, 1000);
    }

    private static void ledger(DeltaRows output) {
        output.delta("ledger", "", 0, "", "livelift.acme.outcomes", "", 0, "", 1, SUMS, 1000);
    }

    private static LogRecord record() {
        LogRecord record = new LogRecord();
        record.tenantId = "acme";
        record.topic = "livelift.acme.outcomes";
        record.appendTimeMs = 1000;
        return record;
    }

    private List<String> kinds() {
        return rows.stream().map(row -> row.getString(KIND).toString()).toList();
    }
}
