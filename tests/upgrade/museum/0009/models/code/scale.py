import slipstream as mlflow


class Scale(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float], params=None) -> list[float]:
        return [value * params["factor"] for value in model_input]


mlflow.models.set_model(Scale())
