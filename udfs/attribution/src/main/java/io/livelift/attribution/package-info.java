/**
 * The attribution rules, without Flink types: what the contract (docs/design.md, sections 3 to 5) says, one class for
 * each of its ideas.
 *
 * <ul>
 *   <li>In: {@link io.livelift.attribution.LogRecord} through {@link io.livelift.attribution.EventDecoder} and the
 *       checks of a single record ({@code RecordChecks}); {@link io.livelift.attribution.DefinitionBook}.
 *   <li>Decided: {@link io.livelift.attribution.UnitEngine} accepts, refuses, lets wait ({@code WaitingRecords}) and
 *       forgets; {@code Places} applies rules 1 to 5, 7 and 9 to what was accepted.
 *   <li>Kept: {@code UnitState}, a few hundred bytes with {@code Place}s, {@code StoredOutcome}s and hashes of ids, and
 *       {@link io.livelift.attribution.Pages} for what is too much for it ({@code EventMemory}).
 *   <li>Out: {@code SlotRows}, {@code ActivityRows} and {@code Ledger} send differences to
 *       {@link io.livelift.attribution.Output}; {@link io.livelift.attribution.SumDelta} adds them up.
 * </ul>
 *
 * <p>The package {@code flink} is the shell that runs this in a job; {@link io.livelift.attribution.Replay} runs it
 * alone.
 */
package io.livelift.attribution;
