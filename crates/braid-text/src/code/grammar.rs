//! What the node kinds of each grammar mean here.

use braid_core::CodeLanguage;
use tree_sitter::{Language, Node};

/// What a kind of node is for the structure of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Defines something that has a name.
    Definition,
    /// Stands around one definition: a decorator, an export, a declaration of one value.
    Wrapper,
    /// Groups definitions without a name of its own.
    Transparent,
    /// Anything else.
    Other,
}

/// The grammar of a language.
pub(crate) fn grammar(language: CodeLanguage) -> Language {
    match language {
        CodeLanguage::C => tree_sitter_c::LANGUAGE.into(),
        CodeLanguage::Go => tree_sitter_go::LANGUAGE.into(),
        CodeLanguage::Java => tree_sitter_java::LANGUAGE.into(),
        CodeLanguage::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        CodeLanguage::Python => tree_sitter_python::LANGUAGE.into(),
        CodeLanguage::Rust => tree_sitter_rust::LANGUAGE.into(),
        CodeLanguage::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
        CodeLanguage::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
    }
}

/// Comments and attributes that belong to what follows them; `text` is the node's. Rust's inner ones
/// are about what they stand in.
pub(super) fn is_lead(kind: &str, text: &str) -> bool {
    let is_inner = text.starts_with("//!") || text.starts_with("/*!");
    matches!(kind, "attribute_item" | "decorator") || (is_comment(kind) && !is_inner)
}

fn is_comment(kind: &str) -> bool {
    matches!(kind, "comment" | "line_comment" | "block_comment")
}

pub(super) fn role(language: CodeLanguage, kind: &str) -> Role {
    match language {
        CodeLanguage::C => match kind {
            "function_definition"
            | "type_definition"
            | "struct_specifier"
            | "union_specifier"
            | "enum_specifier"
            | "preproc_function_def" => Role::Definition,
            "preproc_ifdef"
            | "preproc_if"
            | "preproc_else"
            | "preproc_elif"
            | "linkage_specification"
            | "declaration_list" => Role::Transparent,
            _ => Role::Other,
        },
        CodeLanguage::Go => match kind {
            "function_declaration" | "method_declaration" | "type_spec" | "type_alias" => {
                Role::Definition
            }
            "type_declaration" => Role::Wrapper,
            _ => Role::Other,
        },
        CodeLanguage::Java => match kind {
            "class_declaration"
            | "interface_declaration"
            | "enum_declaration"
            | "record_declaration"
            | "annotation_type_declaration"
            | "method_declaration"
            | "constructor_declaration"
            | "compact_constructor_declaration" => Role::Definition,
            "enum_body_declarations" => Role::Transparent,
            _ => Role::Other,
        },
        CodeLanguage::JavaScript | CodeLanguage::Tsx | CodeLanguage::TypeScript => script(kind),
        CodeLanguage::Python => match kind {
            "function_definition" | "class_definition" => Role::Definition,
            "decorated_definition" => Role::Wrapper,
            "if_statement" | "elif_clause" | "else_clause" | "try_statement" | "except_clause"
            | "finally_clause" | "with_statement" | "block" => Role::Transparent,
            _ => Role::Other,
        },
        CodeLanguage::Rust => match kind {
            "function_item"
            | "function_signature_item"
            | "struct_item"
            | "enum_item"
            | "union_item"
            | "trait_item"
            | "impl_item"
            | "mod_item"
            | "macro_definition" => Role::Definition,
            "foreign_mod_item" | "declaration_list" => Role::Transparent,
            _ => Role::Other,
        },
    }
}

fn script(kind: &str) -> Role {
    match kind {
        "function_declaration"
        | "generator_function_declaration"
        | "class_declaration"
        | "abstract_class_declaration"
        | "method_definition"
        | "interface_declaration"
        | "enum_declaration"
        | "type_alias_declaration"
        | "internal_module"
        | "module"
        | "function_signature"
        | "variable_declarator" => Role::Definition,
        "export_statement"
        | "lexical_declaration"
        | "variable_declaration"
        | "expression_statement"
        | "ambient_declaration" => Role::Wrapper,
        _ => Role::Other,
    }
}

/// Whether what is defined in the body of such a node is of interest by itself: the functions of a
/// class, not those of a function.
pub(super) fn holds_members(language: CodeLanguage, kind: &str) -> bool {
    match language {
        CodeLanguage::Python => kind == "class_definition",
        CodeLanguage::Rust => matches!(kind, "impl_item" | "trait_item" | "mod_item"),
        CodeLanguage::C | CodeLanguage::Go => false,
        CodeLanguage::Java => !matches!(
            kind,
            "method_declaration" | "constructor_declaration" | "compact_constructor_declaration"
        ),
        CodeLanguage::JavaScript | CodeLanguage::Tsx | CodeLanguage::TypeScript => {
            matches!(
                kind,
                "class_declaration" | "abstract_class_declaration" | "internal_module" | "module"
            )
        }
    }
}

/// The definition that a wrapper stands around; none where it stands around several or nothing.
pub(super) fn wrapped(node: Node<'_>) -> Option<Node<'_>> {
    if let Some(inner) = ["definition", "declaration"]
        .iter()
        .find_map(|field| node.child_by_field_name(field))
    {
        return Some(inner);
    }
    let mut cursor = node.walk();
    let mut named = node
        .named_children(&mut cursor)
        .filter(|child| !is_comment(child.kind()) && child.kind() != "decorator");
    let only = named.next()?;
    named.next().is_none().then_some(only)
}

/// What a definition is called.
pub(super) fn name(node: Node<'_>, text: &str, language: CodeLanguage) -> Option<String> {
    let field = |name: &str| {
        let found = node.child_by_field_name(name)?;
        text.get(found.byte_range())
    };
    match (language, node.kind()) {
        (CodeLanguage::Rust, "impl_item") => Some(match (field("trait"), field("type")?) {
            (Some(implemented), of) => format!("impl {implemented} for {of}"),
            (None, of) => format!("impl {of}"),
        }),
        (CodeLanguage::Go, "method_declaration") => {
            Some(format!("{} {}", field("receiver")?, field("name")?))
        }
        (CodeLanguage::C, "function_definition" | "type_definition") => {
            Some(declared(node, text)?.to_owned())
        }
        // `struct point` in a declaration of something else defines nothing.
        (CodeLanguage::C, "struct_specifier" | "union_specifier" | "enum_specifier") => {
            node.child_by_field_name("body")?;
            Some(field("name")?.to_owned())
        }
        (_, "variable_declarator") => {
            let value = node.child_by_field_name("value")?;
            let defines = matches!(
                value.kind(),
                "arrow_function"
                    | "function_expression"
                    | "function"
                    | "generator_function"
                    | "class"
            );
            defines.then(|| field("name").map(str::to_owned)).flatten()
        }
        _ => Some(field("name")?.to_owned()),
    }
}

/// The name in a C declarator, which may stand within pointers and parameter lists.
fn declared<'t>(node: Node<'_>, text: &'t str) -> Option<&'t str> {
    let mut declarator = node.child_by_field_name("declarator")?;
    while let Some(inner) = declarator.child_by_field_name("declarator").or_else(|| {
        (declarator.kind() == "parenthesized_declarator")
            .then(|| declarator.named_child(0))
            .flatten()
    }) {
        declarator = inner;
    }
    text.get(declarator.byte_range())
}
