// Short names for the API's own types. They are generated from its OpenAPI document, so a change of the API shows up
// here.

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Artifact = Schemas["ArtifactRead"];
export type BaseModel = Schemas["BaseModelRead"];
export type Dataset = Schemas["DatasetRead"];
export type ErrorBody = Schemas["ErrorBody"];
export type JobEvent = Schemas["EventRead"];
export type Job = Schemas["JobRead"];
export type JobCreate = Schemas["JobCreate"];
export type JobEstimate = Schemas["JobEstimateRead"];
export type JobOverview = Schemas["JobOverview"];
export type JobRow = Schemas["JobRow"];
export type JobStatus = Schemas["JobStatus"];
export type Curves = Schemas["Curves"];
export type CurveColumns = Schemas["CurveColumns"];
export type Key = Schemas["KeyRead"];
export type Metric = Schemas["MetricRead"];
export type Preview = Schemas["PreviewRead"];
export type PreviewExample = Schemas["PreviewExample"];
export type Queue = Schemas["QueueRead"];
export type QueueEntry = Schemas["QueueEntryRead"];
export type Run = Schemas["RunRead"];
export type Session = Schemas["SessionRead"];
export type Slot = Schemas["SlotRead"];
export type Statistics = Schemas["StatisticsRead"];
export type Team = Schemas["TeamRead"];
export type Usage = Schemas["UsageRead"];

export interface Items<T> {
  items: T[];
}

export interface Page<T> extends Items<T> {
  next_cursor: string | null;
}
