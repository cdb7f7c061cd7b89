// The introduction for a team without jobs: the steps in the browser and in a shell.

import { Link } from "../../router";
import { Icon } from "../../ui/icons";
import "./first-steps.css";

export function FirstSteps() {
  const url = window.location.origin;
  return (
    <section class="jobs-first card">
      <h2>Three steps to a model of your own</h2>
      <ol>
        <li>
          <Icon name="upload" />
          <h3>1. Upload a dataset</h3>
          <p>Chats whose replies carry emotions: JSON Lines, CSV or Parquet. It is checked line by line.</p>
          <Link to="/datasets" class="button">
            Go to the datasets
          </Link>
        </li>
        <li>
          <Icon name="plus" />
          <h3>2. Post a job</h3>
          <p>
            Choose the base model and the dataset. The defaults are a good start, and you see an estimate of time and
            memory before you post.
          </p>
          <Link to="/new-job" class="button primary">
            New job
          </Link>
        </li>
        <li>
          <Icon name="compare" />
          <h3>3. Watch it learn</h3>
          <p>The loss is shown live. At the end you download a bundle with the adapter and the emotion projection.</p>
        </li>
      </ol>
      <details>
        <summary>The same with curl</summary>
        <pre class="log">{`URL=${url}
AUTH="Authorization: Bearer emo_..."
DATASET=$(curl -s -H "$AUTH" --data-binary @chats.jsonl "$URL/datasets?name=support%20chats" | jq -r .id)
JOB=$(curl -s -H "$AUTH" -H "Content-Type: application/json" "$URL/jobs" \\
  -d '{"name": "warm replies", "base_model": "gemma-3-270m", "dataset_id": "'$DATASET'"}' | jq -r .id)
curl -N -H "$AUTH" -H "Accept: text/event-stream" "$URL/jobs/$JOB/metrics"`}</pre>
      </details>
    </section>
  );
}
