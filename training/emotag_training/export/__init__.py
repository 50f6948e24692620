"""Write a trained model: artifact, ONNX."""
