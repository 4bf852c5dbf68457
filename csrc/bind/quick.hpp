#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "common.hpp"

// Bound functions whose calls cost little: arguments that are given by position, each of the very
// type that is taken, go to the function at once. Every other call goes to what pybind11 made of
// it, which converts or says what is wrong.
namespace nasturtium::bind {

// An argument that is a T already, and nothing that would have to be converted.
template <typename T>
class Exact;

template <typename T>
  requires std::is_unsigned_v<T>
class Exact<T> {
 public:
  bool load(PyObject* object) {
    if (!PyLong_CheckExact(object)) {
      return false;
    }
    const unsigned long long value = PyLong_AsUnsignedLongLong(object);
    if (value == static_cast<unsigned long long>(-1) && PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      return false;
    }
    value_ = static_cast<T>(value);
    return value <= std::numeric_limits<T>::max();
  }

  T value() const { return value_; }

 private:
  T value_ = 0;
};

template <>
class Exact<std::string> {
 public:
  bool load(PyObject* object) {
    if (!PyUnicode_CheckExact(object)) {
      return false;
    }
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    if (text == nullptr) {
      PyErr_Clear();
      return false;
    }
    value_.assign(text, static_cast<std::size_t>(size));
    return true;
  }

  const std::string& value() const { return value_; }

 private:
  std::string value_;
};

template <typename T>
class Exact<Array<T>> {
 public:
  // Numpy has one descriptor for each of its own types; an equal one goes the other way.
  bool load(PyObject* object) {
    static PyObject* const descriptor = py::dtype::of<T>().release().ptr();
    static PyObject* const type =
        reinterpret_cast<PyObject*>(py::detail::npy_api::get().PyArray_Type_);
    if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != type) {
      return false;
    }
    const py::detail::PyArray_Proxy* array = py::detail::array_proxy(object);
    if (array->descr != descriptor || (array->flags & py::array::c_style) == 0) {
      return false;
    }
    value_ = py::reinterpret_borrow<Array<T>>(object);
    return true;
  }

  const Array<T>& value() const { return *value_; }

 private:
  std::optional<Array<T>> value_;  // an empty Array would be an allocation
};

// None, or the very type.
template <typename T>
class Exact<std::optional<T>> {
 public:
  bool load(PyObject* object) {
    given_ = object != Py_None;
    return !given_ || held_.load(object);
  }

  std::optional<T> value() const { return given_ ? std::optional<T>(held_.value()) : std::nullopt; }

 private:
  Exact<T> held_;
  bool given_ = false;
};

// Whatever it is.
template <>
class Exact<py::object> {
 public:
  bool load(PyObject* object) {
    value_ = py::reinterpret_borrow<py::object>(object);
    return true;
  }

  const py::object& value() const { return value_; }

 private:
  py::object value_;
};

inline PyObject* slow_call(PyObject* function, PyObject* self, PyObject* const* arguments,
                           Py_ssize_t count, PyObject* names) {
  const std::size_t named =
      names == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(names));
  const auto given = static_cast<std::size_t>(count);
  std::vector<PyObject*> all;
  if (self != nullptr) {
    all.push_back(self);
  }
  all.insert(all.end(), arguments, arguments + given + named);
  return PyObject_Vectorcall(function, all.data(), all.size() - named, names);
}

// Calls `function` with what the arguments hold. Null: an error is set, or, where none is, an
// exception came that pybind11 has a Python one for.
template <typename F, typename... Loaded>
PyObject* quick_call(F function, const std::tuple<Loaded...>& loaded) {
  try {
    const auto call = [&] {
      return std::apply([&](const auto&... held) { return function(held.value()...); }, loaded);
    };
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      Py_RETURN_NONE;
    } else {
      return py::object(call()).release().ptr();
    }
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (...) {
    return nullptr;
  }
  return nullptr;
}

template <typename... Loaded>
bool load_all(std::tuple<Loaded...>& loaded, PyObject* const* arguments, Py_ssize_t count,
              PyObject* names) {
  if (count != static_cast<Py_ssize_t>(sizeof...(Loaded)) || names != nullptr) {
    return false;
  }
  return std::apply([&](auto&... one) { return (one.load(*arguments++) && ...); }, loaded);
}

// The call of one bound function, by its type. `slow` is what pybind11 made of it; it also has the
// call again that failed without a Python error.
template <auto Function, typename Type = decltype(Function)>
struct Quick;

template <auto Function, typename R, typename C, typename... A>
struct Quick<Function, R (C::*)(A...) const> {
  inline static PyObject* slow = nullptr;

  static PyObject* call(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* names) {
    const auto* held = reinterpret_cast<py::detail::instance*>(self);
    std::tuple<Exact<std::decay_t<A>>...> loaded;
    if (held->simple_layout && held->simple_value_holder[0] != nullptr &&
        load_all(loaded, arguments, count, names)) {
      const C& object = *static_cast<const C*>(held->simple_value_holder[0]);
      const auto method = [&](const auto&... values) { return (object.*Function)(values...); };
      if (PyObject* made = quick_call(method, loaded); made != nullptr || PyErr_Occurred()) {
        return made;
      }
    }
    return slow_call(slow, self, arguments, count, names);
  }
};

template <auto Function, typename R, typename... A>
struct Quick<Function, R (*)(A...)> {
  inline static PyObject* slow = nullptr;

  static PyObject* call(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    std::tuple<Exact<std::decay_t<A>>...> loaded;
    if (load_all(loaded, arguments, count, names)) {
      if (PyObject* made = quick_call(Function, loaded); made != nullptr || PyErr_Occurred()) {
        return made;
      }
    }
    return slow_call(slow, nullptr, arguments, count, names);
  }
};

// Makes calls of a function quick that is bound already, under its name, in a class or a module.
template <auto Function>
void quicken(const py::object& scope, const char* name) {
  using Call = Quick<Function>;
  py::object slow = scope.attr(name);
  static const std::string text = py::cast<std::string>(slow.attr("__doc__"));
  static PyMethodDef definition{
      name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&Call::call)),
      METH_FASTCALL | METH_KEYWORDS, text.c_str()};
  Call::slow = slow.release().ptr();
  PyObject* made =
      PyType_Check(scope.ptr())
          ? PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(scope.ptr()), &definition)
          : PyCFunction_New(&definition, nullptr);
  if (made == nullptr) {
    throw py::error_already_set();
  }
  scope.attr(name) = py::reinterpret_steal<py::object>(made);
}

}  // namespace nasturtium::bind
