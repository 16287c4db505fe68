"""Register versions, describe, tag and name them, promote and copy them, load them by number and by alias."""

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge

X, y = make_regression(n_features=4, n_informative=2, random_state=0, shuffle=False)
mlflow.set_experiment("Quickstart: registry")
name = "ridge-reg-model"
with mlflow.start_run() as run:
    model = Ridge(alpha=5.0).fit(X, y)
    signature = infer_signature(X, model.predict(X))
    mlflow.log_params({"alpha": 5.0})
    mlflow.sklearn.log_model(
        sk_model=model, name="sklearn-model", signature=signature, registered_model_name=name
    )
result = mlflow.register_model(f"runs:/{run.info.run_id}/sklearn-model", name, tags={"stage": "candidate"})
assert int(result.version) == 2

client = MlflowClient()
client.update_registered_model(name, description="Straight lines")
client.update_model_version(name=name, version=1, description="The first one")
client.set_registered_model_tag(name, "task", "regression")
client.set_model_version_tag(name, "1", "validation_status", "approved")
client.set_registered_model_alias(name, "champion", "2")
client.set_registered_model_alias(name=name, alias="champion", version=1)
version = client.get_model_version_by_alias(name, "champion")
assert int(version.version) == 1
assert version.tags["validation_status"] == "approved"
for uri in (f"models:/{name}/1", f"models:/{name}@champion", f"models:/{name}/latest"):
    assert list(mlflow.pyfunc.load_model(model_uri=uri).predict(X)) == list(model.predict(X))
assert mlflow.sklearn.load_model(f"models:/{name}/2").alpha == 5.0

client.create_registered_model(f"{name}-prod")
copied = client.copy_model_version(src_model_uri=f"models:/{name}@champion", dst_name=f"{name}-prod")
assert (copied.name, int(copied.version)) == (f"{name}-prod", 1)
found = client.search_model_versions(f"name='{name}'")
assert sorted(int(each.version) for each in found) == [1, 2]
assert [each.name for each in client.search_registered_models(filter_string="name LIKE 'ridge%-prod'")]
client.delete_registered_model_alias(name, "champion")
client.delete_model_version(name=name, version="1")
client.delete_registered_model(name=name)
code = None
try:
    client.get_registered_model(name)
except MlflowException as error:
    code = error.error_code
assert code == "RESOURCE_DOES_NOT_EXIST"
