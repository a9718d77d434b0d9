// Runs signatures of a SavedModel with TensorFlow's C++ runtime, no Python.
//
// usage: run_signatures SAVED_MODEL FOLDER
//
// For each line "<signature> <case>" on standard input, FOLDER/<case>.<input>.pb hold
// the inputs as serialised TensorProtos. The outputs are written beside them, or the
// error as FOLDER/<case>.error; then the next line is worked on.

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

void RunCase(const tensorflow::SavedModelBundle& bundle,
             const std::string& signature_name, const std::string& prefix) {
  const auto& signature = bundle.GetSignatures().at(signature_name);
  std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
  for (const auto& [key, info] : signature.inputs()) {
    tensorflow::TensorProto proto;
    tensorflow::Tensor tensor;
    if (!proto.ParseFromString(ReadFile(prefix + "." + key + ".pb")) ||
        !tensor.FromProto(proto)) {
      WriteFile(prefix + ".error", "unreadable input " + key);
      return;
    }
    inputs.emplace_back(info.name(), tensor);
  }
  std::vector<std::string> keys, fetches;
  for (const auto& [key, info] : signature.outputs()) {
    keys.push_back(key);
    fetches.push_back(info.name());
  }
  std::vector<tensorflow::Tensor> outputs;
  const auto status = bundle.session->Run(inputs, fetches, {}, &outputs);
  if (!status.ok()) {
    WriteFile(prefix + ".error", status.ToString());
    return;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    tensorflow::TensorProto proto;
    outputs[i].AsProtoField(&proto);
    WriteFile(prefix + "." + keys[i] + ".out.pb", proto.SerializeAsString());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  tensorflow::SavedModelBundle bundle;
  const auto status =
      tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(),
                                 argv[1], {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    return 1;
  }
  std::string signature, name;
  while (std::cin >> signature >> name) {
    RunCase(bundle, signature, std::string(argv[2]) + "/" + name);
  }
  return 0;
}
