package io.livelift.attribution.flink;

import io.livelift.attribution.DefinitionBook;
import io.livelift.attribution.SchemaSource;
import java.io.Serializable;
import java.util.List;
import java.util.function.LongConsumer;

/**
 * What a task of the job needs of the world besides its records.
 *
 * @param definitionsUpTo is told every append time before it matters, so that the definitions keep up with it
 */
record Surroundings(
        DefinitionBook definitions, LongConsumer definitionsUpTo, SchemaSource schemas, EmittedKeys emitted) {
    /** Called by each task when it starts. */
    interface Finder extends Serializable {
        Surroundings find(JobParameters parameters);
    }

    /** The definitions' topic and the schema registry that the job parameters name. */
    static Surroundings real(JobParameters parameters) {
        DefinitionsFollower follower =
                DefinitionsFollower.of(parameters.bootstrap(), parameters.definitionsTopic());
        return new Surroundings(
                follower,
                follower::keepUpWith,
                new RegistrySchemas(parameters.registryUrl()),
                EmittedKeys.of(parameters.bootstrap(), List.of(parameters.slotsTopic(), parameters.countsTopic())));
    }
}
