"""PyKMIP's server, made to keep the custom attributes that it refuses.

The stock server knows no attribute whose name begins with "x-". This one takes them in Create and Register, gives them out with Get
Attributes and Get Attribute List, and filters by them in Locate; in KMIP 1.x, text values only. Nothing in the package is changed: its
engine is subclassed. Options are those of pykmip-server.
"""

import warnings

# Cipher modes that the server offers and nobody here uses.
warnings.simplefilter("ignore")

from kmip.core import exceptions, primitives
from kmip.core.factories.attributes import AttributeFactory
from kmip.pie import objects
from kmip.services.server import engine, policy, server

# A custom attribute is kept as a row of application specific information, so that the schema stays as it is. The namespace says which
# rows are meant: what clients store under a namespace like "x-keygroup" themselves is something else.
ROW = "custom attribute "


def is_custom(name):
    return name.startswith("x-")


def values_of(managed_object, name):
    rows = managed_object.app_specific_info
    return [row.application_data for row in rows if row.application_namespace == ROW + name]


def custom_names(managed_object):
    spaces = (row.application_namespace for row in managed_object.app_specific_info)
    return sorted({space[len(ROW):] for space in spaces if space.startswith(ROW)})


class Policy(policy.AttributePolicy):
    """Every name that begins with "x-" goes by the rules that the standard has for custom attributes."""


def by_rule_of_custom_attributes(question):
    asked = getattr(policy.AttributePolicy, question)

    def answer(self, attribute, *more):
        return asked(self, "Custom Attribute" if is_custom(attribute) else attribute, *more)

    return answer


for _question in (
    "is_attribute_supported",
    "is_attribute_deprecated",
    "is_attribute_deletable_by_client",
    "is_attribute_modifiable_by_client",
    "is_attribute_applicable_to_object_type",
    "is_attribute_multivalued",
):
    setattr(Policy, _question, by_rule_of_custom_attributes(_question))


class Engine(engine.KmipEngine):
    """The engine that keeps custom attributes."""

    def _set_protocol_version(self, protocol_version):
        super()._set_protocol_version(protocol_version)
        self._attribute_policy = Policy(protocol_version)

    def _set_attribute_on_managed_object(self, managed_object, attribute):
        name, values = attribute
        if not is_custom(name):
            return super()._set_attribute_on_managed_object(managed_object, attribute)
        for value in values:
            if not isinstance(value, primitives.TextString):
                raise exceptions.InvalidField("{} is kept as text only.".format(name))
            row = objects.ApplicationSpecificInformation(ROW + name, value.value)
            managed_object.app_specific_info.append(row)

    def _get_attribute_from_managed_object(self, managed_object, name):
        value = super()._get_attribute_from_managed_object(managed_object, name)
        if name == "Application Specific Information":
            return [row for row in value if not row["application_namespace"].startswith(ROW)]
        return value

    def _get_attributes_from_managed_object(self, managed_object, names):
        found = super()._get_attributes_from_managed_object(managed_object, names)
        make = AttributeFactory().create_attribute
        for name in names or custom_names(managed_object):
            if is_custom(name):
                values = values_of(managed_object, name)
                found.extend(make(name, value, index) for index, value in enumerate(values))
        return found

    def _process_locate(self, payload):
        wanted = [a for a in payload.attributes or () if is_custom(a.attribute_name.value)]
        payload.attributes = [a for a in payload.attributes or () if a not in wanted]
        self._wanted = [(a.attribute_name.value, a.attribute_value.value) for a in wanted]
        return super()._process_locate(payload)

    def _list_objects_with_access_controls(self, operation):
        # Only Locate lists objects, and requests are worked on one at a time.
        listed = super()._list_objects_with_access_controls(operation)
        return [found for found in listed if all(value in values_of(found, name) for name, value in self._wanted)]


if __name__ == "__main__":
    # The server names the class through this module; `main` reads the options.
    server.engine.KmipEngine = Engine
    server.main()
